"""The second door for sets that only credit: `post_credits` locks, decides and writes in one statement.

step      what it does                                                            cost, for n credits
begin     the transaction's id, before the time is taken                          one round trip
write     balances (in id order), entries, postings and the caller's own rows     one statement
ask       only for what was not credited: whether its account is closed           one statement, if any

What a credit may do depends on one row, the account's own, and on nothing that the row does not hold: whether it is closed.
So the UPDATE that locks the row can decide as well: it waits for whoever has the row, and looks at its condition again on
what that one left (docs/decisions/credits-in-one-statement.md). A debit cannot be had like this: what is available is shared
by all its legs. The result is the same as posting the items one by one in the order of their positions (invariant I14).

Bounds: as `wallet.ledger_sets`. The query (`credits`) is read once, so it may claim what it yields (FOR UPDATE SKIP LOCKED).
One row per credit, each an item and an entry of its own:

    item uuid         which thing this is; also the entry's and the postings' subject
    position          anything that sorts: the order of items on one account, ties by item
    account_id uuid   an inline account
    amount numeric    above zero, exact to the asset's minor unit
    against uuid      the folded account that takes the opposite

No two CTEs are joined, so no plan depends on how many rows the planner believes to be due.
"""

from collections.abc import Sequence
from uuid import UUID

from django.db import connection, transaction

from superapp import clock
from superapp.sql_files import SqlParameters
from wallet.errors import AccountClosed, LedgerFault
from wallet.flows import EntryKind
from wallet.ledger_sets import SetResult, check_flows

# The id first, the time after it: who waits for all transactions up to an id has then seen all that is recorded before.
# Without hash joins the rows of accounts are found in the order in which they are asked for, which is by id: in any other
# order two sets, or a set and a `post` of two wallets, could wait for each other.
BEGIN_SQL = "SELECT pg_current_xact_id(), set_config('enable_hashjoin', 'off', true)"

WRITE_SQL = """
    WITH this AS MATERIALIZED (SELECT pg_current_xact_id()::text::bigint AS tx),
    credits AS MATERIALIZED ({credits}),
    by_account AS MATERIALIZED (
        SELECT c.account_id, c.against, c.against_kind, c.against_asset, sum(c.amount) AS amount, count(*) AS credits,
               array_agg(c.item ORDER BY c.place) AS items, array_agg(c.amount ORDER BY c.place) AS amounts,
               array_agg(c.running ORDER BY c.place) AS running
        FROM (
            SELECT c.item, c.account_id, c.amount, f.id AS against, f.kind AS against_kind, f.asset_id AS against_asset,
                   row_number() OVER so_far AS place, sum(c.amount) OVER so_far AS running
            FROM credits c JOIN wallet_account f ON f.id = c.against AND f.folded
            WINDOW so_far AS (PARTITION BY c.account_id, f.id ORDER BY c.position, c.item ROWS UNBOUNDED PRECEDING)
        ) c
        GROUP BY c.account_id, c.against, c.against_kind, c.against_asset
    ),
    credited AS (
        UPDATE wallet_account a
        SET balance = a.balance + b.amount, last_sequence = a.last_sequence + b.credits,
            last_recorded_at = greatest(a.last_recorded_at, %(set_recorded_at)s)
        FROM (SELECT * FROM by_account ORDER BY account_id) b
        WHERE a.id = b.account_id AND NOT a.folded AND NOT a.closed
        RETURNING a.kind, a.asset_id, a.last_recorded_at AS recorded_at, a.balance - b.amount AS balance_before,
                  a.last_sequence - b.credits AS sequence_before, b.*
    ),
    posted AS MATERIALIZED (
        SELECT uuidv7() AS entry_id, c.*
        FROM (
            SELECT account_id, kind, asset_id, against, against_kind, against_asset, recorded_at,
                   sequence_before + generate_series(1, credits) AS sequence, balance_before + unnest(running) AS balance_after,
                   unnest(items) AS item, unnest(amounts) AS amount
            FROM credited
        ) c
    ),
    entries AS (
        INSERT INTO wallet_journalentry (id, kind, subject, effective_at, recorded_at, tx)
        SELECT entry_id, %(set_kind)s, item, recorded_at, recorded_at, this.tx FROM posted, this
    ),
    postings AS (
        INSERT INTO wallet_posting (account_id, sequence, entry_id, asset_id, amount, balance_after, subject,
                                    effective_at, recorded_at, tx)
        SELECT p.account_id, p.sequence, p.entry_id, p.asset_id, p.amount, p.balance_after, p.item,
               p.recorded_at, p.recorded_at, this.tx
        FROM posted p, this
        UNION ALL
        SELECT p.against, nextval('wallet_folded_sequence'), p.entry_id, p.against_asset, -p.amount, NULL, p.item,
               p.recorded_at, p.recorded_at, this.tx
        FROM posted p, this
    )
    {then}
    SELECT (SELECT count(*) FROM posted),
           ARRAY[{then_counts}]::bigint[],
           (SELECT array_agg(flow) FROM (
                SELECT unnest(ARRAY[
                    kind || ' ' || asset_id || ' ' || direction || ' ' || decimals,
                    against_kind || ' ' || against_asset || ' ' || -direction || ' ' || decimals
                ]) AS flow
                FROM (SELECT kind, asset_id, against_kind, against_asset, sign(min(amount))::int AS direction,
                             max(min_scale(amount)) AS decimals
                      FROM posted GROUP BY 1, 2, 3, 4) each_way
           ) flows),
           CASE WHEN (SELECT count(*) FROM posted) < (SELECT count(*) FROM credits) THEN
               (SELECT array_agg(ARRAY[c.item, c.account_id]) FROM credits c WHERE c.item NOT IN (SELECT item FROM posted))
           END
"""

CLOSED_SQL = "SELECT id FROM wallet_account WHERE id = ANY(%s) AND closed AND NOT folded"


def post_credits(*, kind: EntryKind, credits: str, params: SqlParameters, then: Sequence[str] = ()) -> SetResult:
    """Writes an entry for each credit that a query yields; what a closed account cannot take is refused and writes nothing.

    Each entry is known from the set's time, or from its account's last if that is later, and counts from then.
    `then`: data-modifying statements with RETURNING that join the writing statement, may read `posted(item, entry_id,
    recorded_at)`, and change one row for each item posted.

    Raises LedgerFault for a kind that may take from owners or counts usage, for credits that do not fit their flow or name
    unknown accounts, for a `then` that changed more or fewer rows; TransactionManagementError outside a transaction.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError(
            "Postings are written inside the transaction of what they are for."
        )
    if kind.may_debit_owners or kind.uses:
        raise LedgerFault(f"{kind.code} does more than credit owners: post it with post_set.")
    statement = WRITE_SQL.format(
        credits=credits,
        then="".join(f", then_{number} AS ({statement})" for number, statement in enumerate(then)),
        then_counts=", ".join(f"(SELECT count(*) FROM then_{number})" for number in range(len(then))),
    )
    with connection.cursor() as cursor:
        cursor.execute(BEGIN_SQL)
        recorded_at = clock.now()
        cursor.execute(statement, {**params, "set_kind": kind.code, "set_recorded_at": recorded_at})
        posted, changed, flows, left_out = cursor.fetchone()
    check_flows(kind, flows or [])
    if any(count != posted for count in changed):
        raise LedgerFault(f"{kind.code}: {posted} items were posted, but {changed} rows of theirs changed.")
    return SetResult(posted=posted, legs=2 * posted, refused=_refused(kind, left_out or []), recorded_at=recorded_at)


def _refused(kind: EntryKind, left_out: Sequence[Sequence[UUID]]) -> dict[UUID, str]:
    """Why items were left out: their account is closed, or this was no credit to begin with.

    An account that has been opened again since is in neither case; the fault takes the set back, and the next one credits it.
    """
    if not left_out:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(CLOSED_SQL, [[account for _, account in left_out]])
        closed = {account for (account,) in cursor.fetchall()}
    for item, account in left_out:
        if account not in closed:
            raise LedgerFault(
                f"{kind.code}: item {item} was not credited, and account {account} is not closed. Either is no account of "
                "an owner, what it is taken from is no folded one, or it was opened again this moment: try again."
            )
    return {item: AccountClosed.code for item, _ in left_out}
