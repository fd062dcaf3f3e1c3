"""The ledger's own checks: each invariant of entries, postings, accounts and holds as a query of the rows that break it.

They read whole tables, so that a row that was changed, lost or added by whatever means is seen; what was sealed is compared
with its seals besides (`wallet.seal_checks`). Which invariant is checked where: docs/rules.md; what
of each is looked at, and what is not: docs/verification.md.
"""

from collections.abc import Iterator, Mapping

from django.db.backends.utils import CursorWrapper

from superapp.errors import InvalidAmount
from superapp.money import minor_unit_decimals
from wallet.flows import CASH, account_kinds, entry_kinds
from wallet.verification import LEDGER, check, check_sql

POSTING = "'posting ' || p.account_id || '#' || p.sequence"

check_sql(
    "I1",
    "each entry sums to zero per asset",
    """
    SELECT 'entry ' || entry_id, 'its postings in asset ' || asset_id || ' sum to ' || sum(amount)
    FROM wallet_posting GROUP BY entry_id, asset_id HAVING sum(amount) <> 0
    """,
    area=LEDGER,
)
check_sql(
    "I1",
    "each entry has postings",
    """
    SELECT 'entry ' || e.id, 'it has no posting' FROM wallet_journalentry e
    WHERE NOT EXISTS (SELECT FROM wallet_posting p WHERE p.entry_id = e.id)
    """,
    area=LEDGER,
)
check_sql(
    "I1",
    "each posting agrees with its entry on times, transaction and subject's owner",
    f"""
    SELECT {POSTING}, CASE WHEN e.id IS NULL THEN 'its entry ' || p.entry_id || ' does not exist'
        ELSE 'its times or transaction differ from those of entry ' || e.id END
    FROM wallet_posting p LEFT JOIN wallet_journalentry e ON e.id = p.entry_id
    WHERE e.id IS NULL OR e.tx <> p.tx OR e.effective_at <> p.effective_at OR e.recorded_at <> p.recorded_at
       OR e.subject <> p.subject
    """,
    area=LEDGER,
)
check_sql(
    "I1",
    "each posting is on an account of its asset, exact to the minor unit",
    f"""
    SELECT {POSTING}, CASE WHEN a.id IS NULL THEN 'its account does not exist'
        WHEN s.id IS NULL OR a.asset_id <> p.asset_id THEN 'its asset is not its account''s'
        ELSE p.amount || ' is not exact to the minor unit of ' || s.code END
    FROM wallet_posting p LEFT JOIN wallet_account a ON a.id = p.account_id LEFT JOIN wallet_asset s ON s.id = a.asset_id
    WHERE a.id IS NULL OR s.id IS NULL OR a.asset_id <> p.asset_id OR p.amount <> round(p.amount, s.decimals)
    """,
    area=LEDGER,
)
check_sql(
    "I2",
    "all postings of an asset sum to zero",
    """
    SELECT 'asset ' || s.code, 'its postings sum to ' || sum(p.amount)
    FROM wallet_posting p JOIN wallet_asset s ON s.id = p.asset_id GROUP BY s.code HAVING sum(p.amount) <> 0
    """,
    area=LEDGER,
)
check_sql(
    "I2",
    "all balances of an asset sum to zero",
    """
    SELECT 'asset ' || s.code, 'its balances sum to ' || sum(b.balance) FROM (
        SELECT a.asset_id, a.balance FROM wallet_account a
        UNION ALL
        SELECT p.asset_id, p.amount FROM wallet_posting p JOIN wallet_account a ON a.id = p.account_id AND a.folded
        WHERE p.tx >= (SELECT tx FROM wallet_foldcheckpoint)
    ) b JOIN wallet_asset s ON s.id = b.asset_id GROUP BY s.code HAVING sum(b.balance) <> 0
    """,
    area=LEDGER,
)
check_sql(
    "I3",
    "each balance is the sum of its postings",
    """
    SELECT 'account ' || a.id, 'its ' || CASE WHEN a.folded THEN 'checkpoint' ELSE 'balance' END || ' is '
        || a.balance || ', its postings sum to ' || coalesce(p.total, 0)
    FROM wallet_account a LEFT JOIN (
        SELECT p.account_id, sum(p.amount) AS total
        FROM wallet_posting p JOIN wallet_account a ON a.id = p.account_id
        WHERE NOT a.folded OR p.tx < (SELECT tx FROM wallet_foldcheckpoint)
        GROUP BY p.account_id
    ) p ON p.account_id = a.id
    WHERE a.balance <> coalesce(p.total, 0)
    """,
    area=LEDGER,
)
check_sql(
    "I3",
    "no transaction is one that this server has not begun, or balances of folded accounts would pass over the next ones",
    """
    SELECT 'checkpoint', 'it is at transaction ' || tx || ', which this server has not begun: was it restored from a dump?'
    FROM wallet_foldcheckpoint WHERE tx > pg_snapshot_xmax(pg_current_snapshot())::text::bigint
    UNION ALL
    SELECT 'entry ' || id, 'its transaction ' || tx || ' is one that this server has not begun'
    FROM wallet_journalentry WHERE tx < 0 OR tx >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint
      AND tx IS DISTINCT FROM pg_current_xact_id_if_assigned()::text::bigint
    """,
    area=LEDGER,
)
check_sql(
    "I4",
    "an inline account's postings are numbered from 1 without a gap, up to its last",
    """
    SELECT 'account ' || a.id, 'its last sequence is ' || a.last_sequence || '; its postings: ' || coalesce(p.n, 0)
        || ' from ' || coalesce(p.low, 0) || ' to ' || coalesce(p.high, 0)
    FROM wallet_account a LEFT JOIN (
        SELECT account_id, count(*) AS n, min(sequence) AS low, max(sequence) AS high
        FROM wallet_posting GROUP BY account_id
    ) p ON p.account_id = a.id
    WHERE NOT a.folded AND (a.last_sequence <> coalesce(p.n, 0) OR coalesce(p.high, 0) <> a.last_sequence
                            OR coalesce(p.low, 1) <> 1)
    """,
    area=LEDGER,
)
check_sql(
    "I5",
    "each posting's balance after is the one before plus its amount, and its recorded time never falls",
    f"""
    SELECT {POSTING}, CASE
        WHEN p.folded <> (p.balance_after IS NULL) THEN 'only a folded account''s posting has no balance after'
        WHEN p.balance_after <> p.before + p.amount
            THEN 'its balance after is ' || p.balance_after || ', but ' || p.before || ' + ' || p.amount || ' makes '
                 || (p.before + p.amount)
        ELSE 'it was recorded at ' || p.recorded_at || ', before the posting that precedes it' END
    FROM (
        SELECT p.account_id, p.sequence, p.amount, p.balance_after, p.recorded_at, a.folded,
               coalesce(lag(p.balance_after) OVER w, 0) AS before, lag(p.recorded_at) OVER w AS earlier
        FROM wallet_posting p JOIN wallet_account a ON a.id = p.account_id
        WINDOW w AS (PARTITION BY p.account_id ORDER BY p.sequence)
    ) p
    WHERE p.folded <> (p.balance_after IS NULL)
       OR (NOT p.folded AND (p.balance_after <> p.before + p.amount OR p.recorded_at < p.earlier))
    """,
    area=LEDGER,
)
check_sql(
    "I5",
    "an account's last recorded time is not before its last posting's",
    """
    SELECT 'account ' || a.id, 'its last recorded time is before its last posting''s'
    FROM wallet_account a JOIN wallet_posting p ON p.account_id = a.id AND p.sequence = a.last_sequence
    WHERE NOT a.folded AND (a.last_recorded_at IS NULL OR a.last_recorded_at < p.recorded_at)
    """,
    area=LEDGER,
)
check_sql(
    "I6",
    "what is held is the sum of the open holds' remainders",
    """
    SELECT 'account ' || a.id, 'it holds ' || a.held || ', its open holds have ' || coalesce(h.remaining, 0) || ' left'
    FROM wallet_account a LEFT JOIN (
        SELECT account_id, sum(remaining) AS remaining FROM wallet_hold WHERE state = 'open' GROUP BY account_id
    ) h ON h.account_id = a.id
    WHERE a.held <> coalesce(h.remaining, 0)
    """,
    area=LEDGER,
)
check_sql(
    "I7",
    "no balance was ever below what the account may owe",
    f"""
    SELECT {POSTING}, 'its balance after is ' || p.balance_after || ', below the limit of ' || -a.credit_limit
    FROM wallet_posting p JOIN wallet_account a ON a.id = p.account_id AND NOT a.folded
    WHERE p.balance_after < -a.credit_limit
    """,
    area=LEDGER,
)
check_sql(
    "I8",
    "captured + released + lapsed + remaining = hold",
    """
    SELECT 'hold ' || id, 'of ' || amount || ' it accounts for ' || captured + released + lapsed + remaining
    FROM wallet_hold WHERE captured + released + lapsed + remaining <> amount OR (state <> 'open' AND remaining <> 0)
    """,
    area=LEDGER,
)
check_sql(
    "I9",
    "a hold ended once, by what its amounts show",
    """
    SELECT 'hold ' || id, 'it is ' || state || CASE WHEN remaining > 0 THEN ' and has ' || remaining || ' left'
        ELSE '; it captured ' || captured || ', released ' || released || ', lapsed ' || lapsed END
    FROM wallet_hold WHERE CASE state
        WHEN 'open' THEN remaining = 0 OR lapsed > 0 OR ended_at IS NOT NULL
        WHEN 'captured' THEN captured = 0 OR lapsed > 0
        WHEN 'released' THEN released = 0 OR lapsed > 0
        ELSE lapsed = 0 OR lapses_at IS NULL OR ended_at < lapses_at END
    """,
    area=LEDGER,
)
check_sql(
    "I10",
    "a reversal is its original turned round, and there is at most one",
    """
    SELECT 'entry ' || r.entry, 'it does not turn round entry ' || r.original || ' posting for posting' FROM (
        SELECT e.entry, e.original, p.account_id, sum(p.amount) AS amount
        FROM (
            SELECT id AS entry, reverses_id AS original, unnest(ARRAY[id, reverses_id]) AS either
            FROM wallet_journalentry WHERE reverses_id IS NOT NULL
        ) e JOIN wallet_posting p ON p.entry_id = e.either
        GROUP BY e.entry, e.original, p.account_id
    ) r WHERE r.amount <> 0
    UNION
    SELECT 'entry ' || reverses_id, 'it was reversed ' || count(*) || ' times'
    FROM wallet_journalentry WHERE reverses_id IS NOT NULL GROUP BY reverses_id HAVING count(*) > 1
    """,
    area=LEDGER,
)


check_sql(
    "I1",
    "an inline account is a person's, and a folded one carries nothing that only a person's does",
    """
    SELECT 'account ' || id, CASE WHEN folded THEN 'it is folded and has a sequence, a time, a hold or a credit limit'
        ELSE 'it is inline and has no owner, or a scope or slot' END
    FROM wallet_account
    WHERE CASE WHEN folded THEN (last_sequence, held, credit_limit) <> (0, 0, 0) OR last_recorded_at IS NOT NULL
               ELSE owner_id IS NULL OR scope <> '' OR slot <> 0 END
    """,
    area=LEDGER,
)
check_sql(
    "I10",
    "an entry that takes another back names it",
    """
    SELECT 'entry ' || id, CASE WHEN reverses_id IS NULL THEN 'it is a reversal and names no entry'
        ELSE 'it is a ' || kind || ' and names an entry it takes back' END
    FROM wallet_journalentry WHERE (kind = 'reversal') <> (reverses_id IS NOT NULL)
    """,
    area=LEDGER,
)


@check("I1", "each posting fits its entry's row of the flow table", area=LEDGER)
def _flows(cursor: CursorWrapper) -> Iterator[tuple[str, str]]:
    yield from break_the_flow_table(cursor, "", {})


def break_the_flow_table(cursor: CursorWrapper, among: str, params: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Counts what was moved first, and names entries only of what may not be. `among`: a condition on postings p, entries e."""
    moved = f"""
        SELECT {{shown}} FROM wallet_posting p JOIN wallet_journalentry e ON e.id = p.entry_id
        JOIN wallet_account a ON a.id = p.account_id JOIN wallet_asset s ON s.id = p.asset_id WHERE true {among}
    """
    cursor.execute(moved.format(shown="e.kind, a.kind, s.type, sign(p.amount)::int") + "GROUP BY 1, 2, 3, 4", params)
    flows = {kind.code: kind for kind in entry_kinds()}
    for entry_kind, account_kind, asset_type, sign in cursor.fetchall():
        flow = flows.get(entry_kind)
        if flow is not None and flow.allows(account_kind, asset_type, sign):
            continue
        cursor.execute(
            moved.format(shown="DISTINCT e.id")
            + "AND e.kind = %(entry)s AND a.kind = %(account)s AND s.type = %(type)s AND sign(p.amount) = %(sign)s ORDER BY 1",
            {**params, "entry": entry_kind, "account": account_kind, "type": asset_type, "sign": sign},
        )
        for (entry,) in cursor.fetchall():
            yield f"entry {entry}", f"a {entry_kind} may not move {account_kind} ({asset_type}) in direction {sign}"


@check("I1", "each account is of a declared kind, folded as its kind says", area=LEDGER)
def _kinds(cursor: CursorWrapper) -> Iterator[tuple[str, str]]:
    folded = {kind.code: kind.folded for kind in account_kinds()}
    cursor.execute("SELECT kind, folded, count(*), (array_agg(id::text))[1:20] FROM wallet_account GROUP BY 1, 2")
    for kind, is_folded, _, accounts in cursor.fetchall():
        if folded.get(kind) is not is_folded:
            for account in accounts:
                yield (
                    f"account {account}",
                    f"{kind} is not a declared kind of account that is {'' if is_folded else 'not '}folded",
                )


@check("I1", "a currency has the decimals of its minor unit", area=LEDGER)
def _decimals(cursor: CursorWrapper) -> Iterator[tuple[str, str]]:
    cursor.execute("SELECT code, decimals FROM wallet_asset WHERE type = %s", [CASH])
    for code, decimals in cursor.fetchall():
        try:
            known = minor_unit_decimals(code)
        except InvalidAmount:
            known = None
        if decimals != known:
            yield f"asset {code}", f"it has {decimals} decimals; the currency has {known}"


@check("I20", "the database's own guards are in place", area=LEDGER)
def guards(cursor: CursorWrapper) -> Iterator[tuple[str, str]]:
    """Triggers that are missing or off, and what the site's role may do and should not."""
    cursor.execute(
        """
        SELECT t.name, g.tgenabled FROM unnest(%s::text[]) AS t (name) LEFT JOIN pg_trigger g ON g.tgname = t.name
        WHERE g.tgenabled IS DISTINCT FROM 'O'
        """,
        [list(GUARDS)],
    )
    for name, enabled in cursor.fetchall():
        yield f"trigger {name}", "it does not exist" if enabled is None else "it is switched off"
    cursor.execute(
        """
        SELECT c.relname, p.privilege FROM pg_class c, unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE']) AS p (privilege)
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
          AND CASE p.privilege
                  WHEN 'UPDATE' THEN c.relname = ANY(%s) AND has_any_column_privilege('superapp_site', c.oid, p.privilege)
                  WHEN 'DELETE' THEN c.relname <> ALL(%s) AND has_table_privilege('superapp_site', c.oid, p.privilege)
                  ELSE has_table_privilege('superapp_site', c.oid, p.privilege) END
        """,
        [list(WRITTEN_ONCE), list(ROWS_MAY_GO)],
    )
    for table, privilege in cursor.fetchall():
        yield f"table {table}", f"the site's role may {privilege} its rows"


WRITTEN_ONCE = (
    "wallet_posting",
    "wallet_journalentry",
    "wallet_seal",
    "wallet_verificationrun",
    "wallet_asset",
    "superapp_policyversion",
    "django_admin_log",
    "django_migrations",
)
"""Tables of which the site's role changes no row."""

ROWS_MAY_GO = (
    "wallet_verificationrun",
    "superapp_user",
    "superapp_user_groups",
    "superapp_user_user_permissions",
    "superapp_calendarday",
    "superapp_outboxevent",
    "django_admin_log",
    "django_session",
    "auth_group",
    "auth_group_permissions",
    "account_emailaddress",
    "account_emailconfirmation",
    "mfa_authenticator",
    "usersessions_usersession",
)
"""The only tables of which the site's role deletes rows; of three of them triggers say which rows."""

GUARDS = (
    "posting_is_append_only",
    "entry_is_append_only",
    "account_is_kept",
    "asset_is_kept",
    "entry_is_of_this_transaction",
    "postings_are_in_balance",
    "seal_is_append_only",
    "seal_follows_the_last",
    "freeze_is_kept",
    "reversal_request_is_kept",
    "reversal_request_is_not_deleted",
    "reversal_is_approved",
    "freeze_is_lifted_once",
    "frozen_until_its_case_is_lifted",
    "late_verifications_are_kept",
    "policy_version_is_kept",
    "policy_begins_when_planned_or_later",
    "operators_log_is_kept",
    "person_is_kept",
)
"""Triggers without which a mistake or a hand could change what is written once, or undo what takes a second person."""
