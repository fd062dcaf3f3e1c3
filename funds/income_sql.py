"""The SQL of an income run, written once. Every query is about batches: ranges of accounts of one fund.

Parameters: those of `entitlement.BASIS_SQL`; `decimals`, `units` (what makes a cut fraction a whole number); `new_*`, the rule
the run pays by; for a correction `old_*`, the rule it replaces. `OFFSET 0` keeps the planner from working a column out
again at each place that names it.

What a day costs beside writing it is reading it, so the reads of every day (`counts_sql`, `ties_sql`) take several batches at a
time, by `ids`, `lows` and `highs`, and multiply each holder once: an exact income is a whole number of units, FRACTION_UNITS
of which make a step of the minor unit (`rate_units`: those of one share; `step_units`: those of one step's worth of shares).
From that one number come the cut (quotient), the cut's fraction (remainder) and, added up, the shares. `count_sql` does the
same for a correction, which needs two rules.
"""

from funds.arithmetic import FRACTION_UNITS
from funds.entitlement import BASIS_SQL, ENTITLED_SQL
from funds.leftover import BUCKET_WIDTH


def _exact(prefix: str) -> str:
    return f"b.entitled * %({prefix}rate)s::numeric"


def _cut_and_fraction(prefix: str) -> str:
    exact = f"e.{prefix}exact"
    cut = f"trunc({exact}, %(decimals)s::int)"
    return f"{cut} AS {prefix}cut, (abs({exact} - {cut}) * %(units)s::numeric)::bigint AS {prefix}fraction"


def _paid(prefix: str, *, steps: bool) -> str:
    if not steps:
        return f"c.{prefix}cut"
    return (
        f"c.{prefix}cut + CASE WHEN c.{prefix}fraction > %({prefix}fraction)s::bigint OR "
        f"(c.{prefix}fraction = %({prefix}fraction)s::bigint AND "
        f"(%({prefix}account)s::uuid IS NULL OR c.id <= %({prefix}account)s::uuid)) "
        f"THEN %({prefix}step)s::numeric ELSE 0 END"
    )


def _cuts(prefixes: tuple[str, ...]) -> str:
    exacts = ", ".join(f"{_exact(prefix)} AS {prefix}exact" for prefix in prefixes)
    parts = ", ".join(_cut_and_fraction(prefix) for prefix in prefixes)
    return f"""
        SELECT e.id, e.entitled, e.available, {parts}
        FROM (
            SELECT b.id, b.entitled, b.available, {exacts}
            FROM ({BASIS_SQL}) b WHERE b.entitled <> 0 OFFSET 0
        ) e OFFSET 0
    """


SHARES_SQL = f"SELECT count(*), coalesce(sum(b.entitled), 0) FROM ({BASIS_SQL}) b WHERE b.entitled <> 0"


def count_sql(*, fractions: bool, base: bool, base_steps: bool) -> str:
    """Holders, shares, incomes as cut and, for a correction, what they had: one row a bucket of cut fractions."""
    cuts = _cuts(("new_", "old_") if base else ("new_",))
    bucket = f"c.new_fraction / {BUCKET_WIDTH}" if fractions else "0::bigint"
    had = f"sum({_paid('old_', steps=base_steps)})" if base else "0::numeric"
    return f"SELECT {bucket}, count(*), sum(c.entitled), sum(c.new_cut), {had} FROM ({cuts}) c GROUP BY 1"


_BATCHES = "unnest(%(ids)s::bigint[], %(lows)s::uuid[], %(highs)s::uuid[]) AS b(id, low, high)"


def _units_of_batch(*, wide: bool) -> str:
    """Of each holder: `units` and `fraction`. As bigint 9 x 10^10 steps do not fit: the database raises, and
    `income_batches.read_some` reads again with `wide`, in numeric.
    """
    exact = f"({ENTITLED_SQL}) * %(rate_units)s::numeric"
    return f"""
        SELECT u.units, abs(u.units %% {FRACTION_UNITS}) AS fraction
        FROM (
            SELECT {f"trunc({exact})" if wide else f"({exact})::bigint"} AS units
            FROM wallet_account a
            WHERE a.asset_id = %(asset)s AND a.kind = 'fund' AND a.id BETWEEN b.low AND b.high
            OFFSET 0
        ) u
        WHERE u.units <> 0
    """


def _quotient(dividend: str, divisor: int, *, wide: bool) -> str:
    return f"div({dividend}, {divisor})" if wide else f"{dividend} / {divisor}"


def counts_sql(*, fractions: bool, wide: bool, whole: bool = False) -> str:
    """Of each of several batches: its id and its figures: holders, shares, incomes as cut, and how many fractions each
    bucket has. `whole`: marks that a batch of which only some had been kept is counted again.
    """
    bucket = _quotient("p.fraction", BUCKET_WIDTH, wide=wide) if fractions else "0::bigint"
    marks = ", 'whole', true, 'near', NULL" if whole else ""
    return f"""
        SELECT b.id, x.figures
        FROM {_BATCHES}
        CROSS JOIN LATERAL (
            SELECT jsonb_build_object({_FIGURES}{_FRACTIONS_FIGURE if fractions else ""}{marks}) AS figures
            FROM (
                SELECT {bucket} AS bucket, count(*) AS holders, sum(p.units) AS units,
                       sum({_quotient("p.units", FRACTION_UNITS, wide=wide)}) AS steps
                FROM ({_units_of_batch(wide=wide)}) p
                GROUP BY 1
            ) r
        ) x
    """


def counts_near_sql(*, wide: bool) -> str:
    """The same where the hand-out is expected to end in the buckets from `first` to `last`: holders in these are counted by
    their exact fraction, and all above or below them in the one bucket next to these. That needs no grouping of all.
    """
    first, after = f"%(first)s::bigint * {BUCKET_WIDTH}", f"(%(last)s::bigint + 1) * {BUCKET_WIDTH}"
    return f"""
        SELECT b.id, x.figures
        FROM {_BATCHES}
        CROSS JOIN LATERAL (
            WITH read AS MATERIALIZED (
                SELECT count(*) AS holders, sum(p.units) AS units,
                       sum({_quotient("p.units", FRACTION_UNITS, wide=wide)}) AS steps,
                       count(*) FILTER (WHERE p.fraction < {first}) AS below,
                       array_agg(p.fraction) FILTER (WHERE p.fraction >= {first} AND p.fraction < {after}) AS near
                FROM ({_units_of_batch(wide=wide)}) p
            ),
            near AS MATERIALIZED (
                SELECT f.fraction, count(*) AS holders FROM read, unnest(read.near) AS f(fraction) GROUP BY 1
            ),
            buckets AS (
                SELECT div(fraction, {BUCKET_WIDTH}) AS bucket, sum(holders)::bigint AS holders FROM near GROUP BY 1
                UNION ALL
                SELECT %(first)s::bigint - 1, below FROM read WHERE below > 0
                UNION ALL
                SELECT %(last)s::bigint + 1, above
                FROM (SELECT holders - below - coalesce(cardinality(near), 0) AS above FROM read) a WHERE above > 0
            )
            SELECT jsonb_build_object({_FIGURES},
                'fractions', (SELECT coalesce(jsonb_object_agg(bucket, holders), '{{}}') FROM buckets),
                'near', jsonb_build_object(
                    'first', %(first)s::bigint, 'last', %(last)s::bigint,
                    'fractions', (SELECT coalesce(jsonb_object_agg(fraction, holders), '{{}}') FROM near))) AS figures
            FROM read r
        ) x
    """


_FIGURES = """
                'holders', coalesce(sum(r.holders), 0)::bigint,
                'shares', (div(coalesce(sum(r.units), 0), %(step_units)s::numeric) * %(step)s::numeric)::text,
                'floors', (coalesce(sum(r.steps), 0) * %(paid_step)s::numeric)::text, 'base', '0'"""
_FRACTIONS_FIGURE = """,
                'fractions', coalesce(jsonb_object_agg(r.bucket, r.holders) FILTER (WHERE r.bucket IS NOT NULL), '{}')"""


def ties_sql(*, wide: bool) -> str:
    """Of each of several batches: its id, and how many holders each exact fraction in the buckets `first` to `last` has."""
    return f"""
        SELECT b.id, coalesce(jsonb_object_agg(x.fraction, x.holders) FILTER (WHERE x.fraction IS NOT NULL), '{{}}')
        FROM {_BATCHES}
        LEFT JOIN LATERAL (
            SELECT p.fraction, count(*) AS holders FROM ({_units_of_batch(wide=wide)}) p
            WHERE p.fraction >= %(first)s::bigint * {BUCKET_WIDTH}
              AND p.fraction < (%(last)s::bigint + 1) * {BUCKET_WIDTH}
            GROUP BY 1
        ) x ON true
        GROUP BY b.id
    """


# What `wallet.ledger_days` pays by: for the accounts that the threshold reaches with its own fraction a little more is enough.
# Filled by `income_batches._pay_without_lock_pass` from `Rule.lifted`; `last` is the threshold's account.
_LIFT = "CASE WHEN a.id <= %(last)s::uuid THEN %(reached_by)s::numeric ELSE %(by)s::numeric END"
_LEAST = "CASE WHEN a.id <= %(last)s::uuid THEN %(reached_least)s::numeric ELSE %(least)s::numeric END"
PAID_SQL = f"trunc({ENTITLED_SQL} * %(new_rate)s::numeric + {_LIFT}, %(decimals)s::int)"
IS_PAID_SQL = f"{ENTITLED_SQL} >= {_LEAST}"

NTH_EQUAL_SQL = f"""
    SELECT c.id FROM ({_cuts(("new_",))}) c
    WHERE c.new_fraction = %(fraction)s::bigint
    ORDER BY c.id OFFSET %(nth)s::bigint - 1 LIMIT 1
"""


def amounts_sql(*, steps: bool, base: bool, base_steps: bool) -> str:
    """What each holder of the batch gets: (id, amount, available); for a correction the difference to what they had."""
    cuts = _cuts(("new_", "old_") if base else ("new_",))
    had = f" - ({_paid('old_', steps=base_steps)})" if base else ""
    return f"SELECT c.id, c.available, {_paid('new_', steps=steps)}{had} AS amount FROM ({cuts}) c"


def income_legs(amounts: str) -> str:
    """The legs of a batch in which nobody loses."""
    return f"""
        WITH income AS MATERIALIZED (SELECT i.id, i.amount FROM ({amounts}) i WHERE i.amount <> 0)
        SELECT NULL::uuid AS item, 1::bigint AS position, id AS account_id, amount, %(run)s::uuid AS subject FROM income
        UNION ALL
        SELECT NULL, 2, %(fund_issued)s::uuid, -sum(amount), %(run)s::uuid FROM income HAVING sum(amount) <> 0
    """


def loss_legs(amounts: str) -> str:
    """The legs of a batch in which holders may lose: what one does not have is owed."""
    return f"""
        WITH income AS MATERIALIZED (
            SELECT i.id, i.amount, greatest(i.amount, -i.available) AS borne FROM ({amounts}) i WHERE i.amount <> 0
        )
        SELECT NULL::uuid AS item, 1::bigint AS position, id AS account_id, borne AS amount, %(run)s::uuid AS subject
        FROM income WHERE borne <> 0
        UNION ALL
        SELECT NULL, 2, %(owed)s::uuid, sum(amount - borne), %(run)s::uuid FROM income HAVING sum(amount - borne) <> 0
        UNION ALL
        SELECT NULL, 3, %(fund_issued)s::uuid, -sum(amount), %(run)s::uuid FROM income HAVING sum(amount) <> 0
    """


RANGES_SQL = """
    SELECT id, (place - 1) %% %(size)s = 0, place %% %(size)s = 0 OR is_last
    FROM (
        SELECT id, row_number() OVER w AS place, lead(id) OVER w IS NULL AS is_last
        FROM wallet_account WHERE asset_id = %(asset)s AND kind = 'fund' AND id >= %(first)s
        WINDOW w AS (ORDER BY id)
    ) a
    WHERE (place - 1) %% %(size)s = 0 OR place %% %(size)s = 0 OR is_last
    ORDER BY id
"""
