"""What an incremental verification looks at: what was posted since the last clean one, and the accounts it touched.

Where everything before was found right, these make the same statements as the full checks, at a cost that follows the number
of new rows: a balance is right when the one before was and the new postings chain on from it. What was changed behind the
mark, by hand, only a full verification sees; `NOT_LOOKED_AT` says so to whoever reads the result.

A row of the window may follow, on its account, one that is not in it: an open transaction with a low number posts after a
later one has committed. So the posting before is looked up by its key wherever the window does not hold it.
"""

from collections.abc import Iterator

from django.db.backends.utils import CursorWrapper

from wallet import ledger_checks, seal_checks
from wallet.verification import LEDGER, Check, Window, looking_by

NOT_LOOKED_AT = (
    "postings and entries of transactions before {from_tx}, and rows sealed up to seal {from_seal}, once found right",
    "what the transactions from {to_tx} on have posted: some of them have not ended",
    "accounts, and holds of accounts, that nothing new was posted to",
    "business rows of the products (transfers, orders, top-ups, runs), usage and capacity: a full verification looks at them",
)
"""In words, for the output."""


def _new(alias: str) -> str:
    return f"{alias}.tx >= %(from_tx)s AND {alias}.tx < %(to_tx)s"


POSTING = "'posting ' || p.account_id || '#' || p.sequence"

TOUCHED = f"SELECT DISTINCT p.account_id AS id FROM wallet_posting p WHERE {_new('p')}"

RULES: tuple[tuple[str, str, str], ...] = (
    (
        "I1",
        "each new entry has postings that sum to zero per asset",
        f"""
        SELECT 'entry ' || p.entry_id, 'its postings in asset ' || p.asset_id || ' sum to ' || sum(p.amount)
        FROM wallet_posting p WHERE {_new("p")} GROUP BY p.entry_id, p.asset_id HAVING sum(p.amount) <> 0
        UNION ALL
        SELECT 'entry ' || e.id, 'it has no posting' FROM wallet_journalentry e
        LEFT JOIN (SELECT DISTINCT p.entry_id FROM wallet_posting p WHERE {_new("p")}) p ON p.entry_id = e.id
        WHERE {_new("e")} AND p.entry_id IS NULL
        """,
    ),
    (
        "I1",
        "each new posting agrees with its entry on times, transaction and subject",
        f"""
        SELECT {POSTING}, CASE WHEN e.id IS NULL THEN 'its entry ' || p.entry_id || ' is not of its transaction'
            ELSE 'its times or transaction differ from those of entry ' || e.id END
        FROM wallet_posting p LEFT JOIN wallet_journalentry e ON e.id = p.entry_id AND {_new("e")}
        WHERE {_new("p")} AND (e.id IS NULL OR e.tx <> p.tx OR e.effective_at <> p.effective_at
            OR e.recorded_at <> p.recorded_at OR e.subject <> p.subject)
        """,
    ),
    (
        "I1",
        "each new posting is on an account of its asset, exact to the minor unit",
        f"""
        SELECT {POSTING}, CASE WHEN a.id IS NULL THEN 'its account does not exist'
            WHEN s.id IS NULL OR a.asset_id <> p.asset_id THEN 'its asset is not its account''s'
            ELSE p.amount || ' is not exact to the minor unit of ' || s.code END
        FROM wallet_posting p LEFT JOIN wallet_account a ON a.id = p.account_id LEFT JOIN wallet_asset s ON s.id = a.asset_id
        WHERE {_new("p")}
          AND (a.id IS NULL OR s.id IS NULL OR a.asset_id <> p.asset_id OR p.amount <> round(p.amount, s.decimals))
        """,
    ),
    (
        "I2",
        "new postings of an asset sum to zero",
        f"""
        SELECT 'asset ' || s.code, 'its new postings sum to ' || sum(p.amount)
        FROM wallet_posting p JOIN wallet_asset s ON s.id = p.asset_id
        WHERE {_new("p")} GROUP BY s.code HAVING sum(p.amount) <> 0
        """,
    ),
    (
        "I3",
        "a touched account's balance and sequence are those of its last posting",
        f"""
        SELECT 'account ' || a.id, 'its balance is ' || a.balance || ' at sequence ' || a.last_sequence
            || CASE WHEN p.sequence IS NULL THEN ', which does not exist'
                    ELSE '; the posting says ' || coalesce(p.balance_after::text, 'nothing') END
        FROM ({TOUCHED}) t JOIN wallet_account a ON a.id = t.id AND NOT a.folded
        LEFT JOIN wallet_posting p ON p.account_id = a.id AND p.sequence = a.last_sequence
        WHERE p.balance_after IS DISTINCT FROM a.balance OR a.last_recorded_at IS NULL OR a.last_recorded_at < p.recorded_at
        """,
    ),
    (
        "I5",
        "each new posting follows the one before: sequence, balance after, recorded time",
        f"""
        SELECT {POSTING}, CASE
            WHEN p.folded <> (p.balance_after IS NULL) THEN 'only a folded account''s posting has no balance after'
            WHEN coalesce(p.before_sequence, q.sequence, 0) <> p.sequence - 1 THEN 'the posting before it is missing'
            WHEN p.balance_after <> coalesce(p.before, q.balance_after, 0) + p.amount
                THEN 'its balance after is ' || p.balance_after || ', but '
                     || coalesce(p.before, q.balance_after, 0) || ' + ' || p.amount || ' was to be'
            ELSE 'it was recorded at ' || p.recorded_at || ', before the posting that precedes it' END
        FROM (
            SELECT n.*, CASE WHEN n.last = n.sequence - 1 THEN n.last END AS before_sequence,
                   CASE WHEN n.last = n.sequence - 1 THEN n.last_balance END AS before,
                   CASE WHEN n.last = n.sequence - 1 THEN n.last_recorded END AS earlier
            FROM (
                SELECT p.account_id, p.sequence, p.amount, p.balance_after, p.recorded_at, a.folded,
                       lag(p.sequence) OVER w AS last, lag(p.balance_after) OVER w AS last_balance,
                       lag(p.recorded_at) OVER w AS last_recorded
                FROM wallet_posting p JOIN wallet_account a ON a.id = p.account_id
                WHERE {_new("p")} WINDOW w AS (PARTITION BY p.account_id ORDER BY p.sequence)
            ) n
        ) p LEFT JOIN wallet_posting q ON p.before_sequence IS NULL AND NOT p.folded
            AND q.account_id = p.account_id AND q.sequence = p.sequence - 1
        WHERE p.folded <> (p.balance_after IS NULL) OR (NOT p.folded AND (
            coalesce(p.before_sequence, q.sequence, 0) <> p.sequence - 1
            OR p.balance_after <> coalesce(p.before, q.balance_after, 0) + p.amount
            OR p.recorded_at < coalesce(p.earlier, q.recorded_at)))
        """,
    ),
    (
        "I6",
        "what a touched account holds is the sum of its open holds' remainders",
        f"""
        SELECT 'account ' || a.id, 'it holds ' || a.held || ', its open holds have ' || coalesce(sum(h.remaining), 0) || ' left'
        FROM ({TOUCHED}) t JOIN wallet_account a ON a.id = t.id
        LEFT JOIN wallet_hold h ON h.account_id = a.id AND h.state = 'open'
        GROUP BY a.id HAVING a.held <> coalesce(sum(h.remaining), 0)
        """,
    ),
    (
        "I7",
        "no new posting left a balance below what the account may owe",
        f"""
        SELECT {POSTING}, 'its balance after is ' || p.balance_after || ', below the limit of ' || -a.credit_limit
        FROM wallet_posting p JOIN wallet_account a ON a.id = p.account_id AND NOT a.folded
        WHERE {_new("p")} AND p.balance_after < -a.credit_limit
        """,
    ),
    (
        "I10",
        "a new reversal is its original turned round",
        f"""
        SELECT 'entry ' || r.id, 'it does not turn round entry ' || coalesce(r.reverses_id::text, 'any') FROM (
            SELECT e.id, e.reverses_id FROM wallet_journalentry e
            WHERE {_new("e")} AND (e.reverses_id IS NOT NULL OR e.kind = 'reversal')
        ) r LEFT JOIN LATERAL (
            SELECT s.account_id FROM (
                SELECT p.account_id, p.amount FROM wallet_posting p WHERE p.entry_id = r.id
                UNION ALL SELECT p.account_id, p.amount FROM wallet_posting p WHERE p.entry_id = r.reverses_id
            ) s GROUP BY s.account_id HAVING sum(s.amount) <> 0 LIMIT 1
        ) wrong ON true
        WHERE r.reverses_id IS NULL OR wrong.account_id IS NOT NULL
        """,
    ),
    (
        "I10",
        "a new reversal carries out a request that another person approved",
        f"""
        SELECT 'entry ' || e.id, 'it takes back entry ' || e.reverses_id || ', and no approved request says so'
        FROM wallet_journalentry e LEFT JOIN wallet_reversalrequest r
            ON r.id = e.subject AND r.entry_id = e.reverses_id AND r.reversal_id = e.id
               AND r.state = 'approved' AND r.decided_by_id <> r.requested_by_id
        WHERE {_new("e")} AND e.reverses_id IS NOT NULL AND r.id IS NULL
        """,
    ),
)


def checks_of(window: Window) -> tuple[Check, ...]:
    """Every check of what is new, bound to the window."""
    bounds = {"from_tx": window.from_tx, "to_tx": window.to_tx}

    def flows(cursor: CursorWrapper) -> Iterator[tuple[str, str]]:
        yield from ledger_checks.break_the_flow_table(cursor, f"AND {_new('p')} AND {_new('e')}", bounds)

    return (
        *(Check(invariant, rule, LEDGER, looking_by(sql, bounds)) for invariant, rule, sql in RULES),
        Check("I1", "each new posting fits its entry's row of the flow table", LEDGER, flows),
        Check("I20", "the database's own guards are in place", LEDGER, ledger_checks.guards),
        *seal_checks.new_seals(window.from_seal),
    )
