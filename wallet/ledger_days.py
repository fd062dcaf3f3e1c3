"""The second door's way for a day of income: `post_to_range` pays each account of a range what its own row comes to.

phase    what it does                                                              cost, for n accounts
pay      balances, postings and the entry; each account is read, decided and locked as its row is written
                                                                                   one statement, n rows updated, n inserted
check    flow, sign and decimals of what was written                               none: the statement answers it

`post_set` locks first and decides in a second statement. Here nothing is decided about one account by looking at another, so
its row's own UPDATE may decide: where it has to wait for another transaction, PostgreSQL works out condition and amount
again from the row as that one left it. For this the amount may name nothing but columns of the row, parameters, and what
can no longer change. docs/decisions/income-without-a-lock-pass.md says why that is the same as locking.

Everything else is as with `post_set`: locks in the order of ids (the range is read along the key), one INSERT of postings into
an entry of the same transaction, recorded no earlier than what the account had before, at most about 20,000 accounts a commit.
It only pays: who could lose goes through `post_set`. Accounts that are closed, or that somebody else has written to since
the recording time was taken, are left out; whoever calls compares what was paid with what should have been, and takes
`post_set` where they differ.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db import connection, transaction

from superapp.sql_files import SqlParameters
from wallet.accounts import known_system_account
from wallet.errors import LedgerFault
from wallet.flows import AccountKind, EntryKind
from wallet.ledger import recording_time
from wallet.models import Asset

# Rows are locked in the order in which they are read, so they are read along the primary key: not as they lie in the table, and
# not along an index that begins with asset and kind and goes on with something else than the id. IS NOT DISTINCT FROM is an
# equality that no index serves.
ALONG_THE_KEY_SQL = "SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true)"

PAY_SQL = """
    WITH this AS MATERIALIZED (SELECT pg_current_xact_id()::text::bigint AS tx),
    paid AS MATERIALIZED (
        UPDATE wallet_account a
        SET balance = a.balance + {amount}, last_sequence = a.last_sequence + 1, last_recorded_at = %(pay_recorded_at)s
        WHERE a.id BETWEEN %(pay_low)s AND %(pay_high)s
          AND a.asset_id IS NOT DISTINCT FROM %(pay_asset)s::smallint
          AND a.kind IS NOT DISTINCT FROM %(pay_account_kind)s::varchar
          AND NOT a.folded AND NOT a.closed AND a.last_recorded_at <= %(pay_recorded_at)s AND {condition}
        RETURNING a.id, a.last_sequence, a.balance, new.balance - old.balance AS amount
    ),
    totals AS MATERIALIZED (
        SELECT count(*) AS legs, sum(amount) AS amount, min(amount) AS smallest, max(min_scale(amount)) AS decimals FROM paid
    ),
    entries AS (
        INSERT INTO wallet_journalentry (id, kind, subject, effective_at, recorded_at, tx)
        SELECT %(pay_entry)s::uuid, %(pay_kind)s, %(pay_subject)s::uuid, %(pay_effective_at)s::timestamptz,
               %(pay_recorded_at)s::timestamptz, this.tx
        FROM this, totals WHERE totals.legs > 0
    ),
    postings AS (
        INSERT INTO wallet_posting (account_id, sequence, entry_id, asset_id, amount, balance_after, subject,
                                    effective_at, recorded_at, tx)
        SELECT m.id, m.sequence, %(pay_entry)s::uuid, %(pay_asset)s::smallint, m.amount, m.balance, %(pay_subject)s::uuid,
               %(pay_effective_at)s::timestamptz, %(pay_recorded_at)s::timestamptz, this.tx
        FROM (
            SELECT id, last_sequence AS sequence, amount, balance FROM paid
            UNION ALL
            SELECT %(pay_against)s::uuid, nextval('wallet_folded_sequence'), -amount, NULL FROM totals WHERE legs > 0
        ) m, this
    )
    SELECT legs, coalesce(amount, 0), coalesce(smallest, 0), coalesce(decimals, 0) FROM totals
"""


@dataclass(frozen=True, slots=True)
class RangePaid:
    """What a range was paid. `accounts`: how many got something; `amount`: all of it."""

    accounts: int
    amount: Decimal
    recorded_at: datetime


def post_to_range(
    *,
    kind: EntryKind,
    account_kind: AccountKind,
    asset: Asset,
    low: UUID,
    high: UUID,
    amount: str,
    condition: str,
    params: SqlParameters,
    against: UUID,
    entry: UUID,
    subject: UUID,
    effective_at: datetime,
) -> RangePaid:
    """Pays the accounts of that kind and asset from `low` to `high` their amount, out of the folded account `against`.

    `amount`, `condition`: SQL over the account's row `a` and `params`; the condition says who gets anything. Both may be
    worked out twice, the second time from a newer version of the row: see the module's head for what they may name.

    Raises LedgerFault for what does not fit the kind's flow, an amount that is not above zero or has too many decimals;
    TransactionManagementError outside a transaction. Then the caller's transaction must not commit.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError(
            "Postings are written inside the transaction of what they are for."
        )
    _check_flow(kind, account_kind, asset, against)
    recorded_at = recording_time([])
    if effective_at > recorded_at:
        raise LedgerFault(f"{kind.code} would count from {effective_at}, before it is known; post it then.")
    own: SqlParameters = {
        "pay_kind": kind.code,
        "pay_account_kind": account_kind.code,
        "pay_asset": asset.id,
        "pay_low": low,
        "pay_high": high,
        "pay_against": against,
        "pay_entry": entry,
        "pay_subject": subject,
        "pay_effective_at": effective_at,
        "pay_recorded_at": recorded_at,
    }
    with connection.cursor() as cursor:
        cursor.execute(ALONG_THE_KEY_SQL)
        cursor.execute(PAY_SQL.format(amount=amount, condition=condition), {**params, **own})
        legs, paid, smallest, decimals = cursor.fetchone()
    if legs and smallest <= 0:
        raise LedgerFault(f"{kind.code} would post {smallest} to an account; only what is above zero is paid this way.")
    if decimals > asset.decimals:
        raise LedgerFault(f"{kind.code} has an amount of {decimals} decimals; {asset.code} has {asset.decimals}.")
    return RangePaid(accounts=legs, amount=paid, recorded_at=recorded_at)


def _check_flow(kind: EntryKind, account_kind: AccountKind, asset: Asset, against: UUID) -> None:
    opposite = known_system_account(against)
    if opposite is None or opposite.asset_id != asset.id:
        raise LedgerFault(f"{kind.code} pays out of {against}, which is no folded account in {asset.code}.")
    if kind.uses is not None:
        raise LedgerFault(f"{kind.code} counts as usage, which is not counted here; post it by `post_set`.")
    if account_kind.folded or not kind.allows(account_kind.code, asset.type, 1):
        raise LedgerFault(f"{kind.code} may not pay {account_kind.code}: see its flow.")
    if not kind.allows(opposite.kind, asset.type, -1):
        raise LedgerFault(f"{kind.code} may not take from {opposite.kind}: see its flow.")
