"""What `verify_ledger` asks of what is counted beside the postings: usage and capacity agree with the ledger (I22), and each
reversal was asked for by one person and approved by another (I10).
"""

from collections.abc import Iterator

from django.db.backends.utils import CursorWrapper

from superapp import clock
from wallet.capacity import capacity_kinds
from wallet.flows import entry_kinds
from wallet.verification import LEDGER, check, check_sql

# What an entry that gives back took off belongs to the day of the entry with its subject that counted it.
USAGE_SQL = """
    WITH uses AS (
        SELECT * FROM unnest(%(kinds)s::text[], %(classes)s::text[], %(counted_by)s::text[]) AS u (kind, class, counted_by)
    ), moved AS (
        SELECT p.account_id, u.class, p.entry_id, -p.amount AS amount, sign(-p.amount)::int AS times,
               (coalesce(o.recorded_at, p.recorded_at) AT TIME ZONE %(zone)s)::date AS day
        FROM wallet_posting p
        JOIN wallet_journalentry e ON e.id = p.entry_id
        JOIN uses u ON u.kind = e.kind
        JOIN wallet_account a ON a.id = p.account_id AND NOT a.folded
        LEFT JOIN wallet_journalentry o ON o.kind = u.counted_by AND o.subject = e.subject
        WHERE (u.counted_by IS NULL) = (p.amount < 0)
    ), counted AS (
        SELECT account_id, class, day, sum(amount) AS amount, sum(times) AS count
        FROM (SELECT account_id, class, day, entry_id, sum(amount) AS amount, max(times) AS times
              FROM moved GROUP BY account_id, class, day, entry_id) entries
        GROUP BY account_id, class, day
    )
    SELECT 'account ' || coalesce(u.account_id, c.account_id),
           'its usage ' || coalesce(u.usage_class, c.class) || ' of ' || coalesce(u.day, c.day) || ' is '
           || coalesce(u.amount, 0) || ' in ' || coalesce(u.count, 0) || '; its postings make '
           || coalesce(c.amount, 0) || ' in ' || coalesce(c.count, 0)
    FROM wallet_usage u
    FULL JOIN counted c ON c.account_id = u.account_id AND c.class = u.usage_class AND c.day = u.day
    WHERE (coalesce(u.amount, 0), coalesce(u.count, 0)) <> (coalesce(c.amount, 0), coalesce(c.count, 0))
"""


@check("I22", "usage is what the postings of its kinds add up to, on the business day that counts", area=LEDGER)
def _usage(cursor: CursorWrapper) -> Iterator[tuple[str, str]]:
    kinds = [kind for kind in entry_kinds() if kind.uses]
    cursor.execute(
        USAGE_SQL,
        {
            "kinds": [kind.code for kind in kinds],
            "classes": [kind.uses.usage_class.code for kind in kinds if kind.uses],
            "counted_by": [kind.uses.of.code if kind.uses and kind.uses.of else None for kind in kinds],
            "zone": clock.business_zone().key,
        },
    )
    yield from cursor.fetchall()


check_sql(
    "I22",
    "the slots of a place of capacity share its total, or what was used when that was lowered",
    """
    SELECT 'capacity ' || kind || ' ' || scope || ' ' || coalesce(day::text, ''),
           'of ' || max(total) || ' it has given out ' || sum(ceiling) || ' and used ' || sum(used)
    FROM wallet_capacity GROUP BY kind, scope, day
    HAVING sum(ceiling) <> greatest(max(total), sum(used)) OR min(total) <> max(total) OR bool_or(used > ceiling OR used < 0)
    """,
    area=LEDGER,
)


@check("I22", "capacity is what its kind's recount of the ledger says")
def _capacity(cursor: CursorWrapper) -> Iterator[tuple[str, str]]:
    kinds = capacity_kinds()
    cursor.execute("SELECT DISTINCT kind FROM wallet_capacity WHERE kind <> ALL(%s)", [[kind.code for kind in kinds]])
    for (unknown,) in cursor.fetchall():
        yield f"capacity {unknown}", "no such kind is declared, so nothing can be counted again"
    for kind in kinds:
        cursor.execute(
            f"""
            SELECT coalesce(c.scope, r.scope), nullif(coalesce(c.day, r.day), '-infinity'),
                   coalesce(c.used, 0), coalesce(r.used, 0)
            FROM (SELECT scope, coalesce(day, '-infinity') AS day, sum(used) AS used
                  FROM wallet_capacity WHERE kind = %(kind)s GROUP BY 1, 2) c
            FULL JOIN (SELECT scope, coalesce(day, '-infinity'::date) AS day, sum(used) AS used
                       FROM ({kind.used_sql}) r GROUP BY 1, 2) r ON r.scope = c.scope AND r.day = c.day
            WHERE coalesce(c.used, 0) <> coalesce(r.used, 0)
            """,
            {"kind": kind.code},
        )
        for scope, day, used, counted in cursor.fetchall():
            yield f"capacity {kind.code} {scope} {day or ''}", f"it has {used} used; the ledger shows {counted}"


check_sql(
    "I10",
    "each reversal carries out a request that another person approved",
    """
    SELECT 'entry ' || e.id, 'it takes back entry ' || e.reverses_id || ', and no approved request says so'
    FROM wallet_journalentry e LEFT JOIN wallet_reversalrequest r
        ON r.id = e.subject AND r.entry_id = e.reverses_id AND r.reversal_id = e.id
           AND r.state = 'approved' AND r.decided_by_id <> r.requested_by_id
    WHERE e.reverses_id IS NOT NULL AND r.id IS NULL
    """,
)
check_sql(
    "I10",
    "each approved request has the reversal it names",
    """
    SELECT 'reversal request ' || r.id, 'it is approved, and its entry ' || r.reversal_id || ' is not there'
    FROM wallet_reversalrequest r LEFT JOIN wallet_journalentry e ON e.id = r.reversal_id AND e.reverses_id = r.entry_id
    WHERE r.state = 'approved' AND e.id IS NULL
    """,
)
