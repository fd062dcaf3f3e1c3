"""The first door's way for a pair: one leg on an owner's account, its opposite on one of the system's, in one statement.

phase    what it does                                                                        cost
pay      the account's row is decided, locked and moved; entry, postings and usage follow from it      one round trip
else     nothing was written: `post` goes the locked way, which refuses or posts              two round trips more

Nearly every payment is a pair: whoever sends, withdraws, pays a merchant or buys a fund pays into an account that takes no
lock. What may be done then depends on one row, so the UPDATE that locks it may decide: where it has to wait for another
transaction, PostgreSQL looks at its condition again, and works out the new values again, on what that one left
(docs/decisions/pairs-in-one-statement.md). A condition that does not hold says nothing of why: the locked way does.

The instant is the database's, taken in the statement: after the transaction's id, which is what the horizon of what is known
(`wallet.folding`) rests on, and again after a wait for the row.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from uuid import UUID

from superapp import clock
from superapp.prepared import array, run
from wallet.accounts import asset_by_id, known_system_account
from wallet.flows import FUND, Direction, EntryKind, entry_kind
from wallet.usage import COUNT_PAIR_SQL

PAY_SQL = f"""
    WITH this AS MATERIALIZED (
        SELECT %s::uuid AS account_id, %s::uuid AS against, %s::numeric AS amount, %s::uuid AS entry_id, %s::text AS kind,
               %s::uuid AS subject, %s::smallint AS asset_id, pg_current_xact_id()::text::bigint AS tx
    ), moved AS (
        UPDATE wallet_account a
        SET balance = a.balance + this.amount, last_sequence = a.last_sequence + 1,
            last_recorded_at = greatest(a.last_recorded_at, {clock.SQL})
        FROM this
        WHERE a.id = this.account_id AND a.asset_id = this.asset_id AND a.kind = ANY(%s::text[])
          AND NOT a.folded AND NOT a.closed
          AND (this.amount > 0 OR NOT a.frozen AND a.balance - a.held + a.credit_limit + this.amount >= 0)
        RETURNING this.*, a.last_sequence AS sequence, a.balance, a.last_recorded_at AS recorded_at
    ), entries AS (
        INSERT INTO wallet_journalentry (id, kind, subject, effective_at, recorded_at, tx)
        SELECT entry_id, kind, subject, recorded_at, recorded_at, tx FROM moved
    ), postings AS (
        INSERT INTO wallet_posting (account_id, sequence, entry_id, asset_id, amount, balance_after, subject,
                                    effective_at, recorded_at, tx)
        SELECT account_id, sequence, entry_id, asset_id, amount, balance, subject, recorded_at, recorded_at, tx FROM moved
        UNION ALL
        SELECT against, nextval('wallet_folded_sequence'), entry_id, asset_id, -amount, NULL, subject, recorded_at,
               recorded_at, tx
        FROM moved
    )
"""
_ANSWER = "SELECT recorded_at, balance FROM moved"
UNCOUNTED_SQL = f"{PAY_SQL}{_ANSWER}"
COUNTED_SQL = f"{PAY_SQL}, usage AS ({COUNT_PAIR_SQL}){_ANSWER}"


@dataclass(frozen=True, slots=True)
class PairPosted:
    """What was written. `balance`: the owner's account's, after it."""

    account: UUID
    recorded_at: datetime
    balance: Decimal


def post_pair(
    *, kind: EntryKind, entry: UUID, subject: UUID, debit: tuple[UUID, Decimal], credit: tuple[UUID, Decimal]
) -> PairPosted | None:
    """Writes the two legs as an entry that counts from when it is recorded; None when it was not, for whatever reason.

    Nothing is written then, and nothing is known but that this is no pair that fits its flow and may be posted now.
    """
    sign = _owner_moves(kind.code)
    (account, amount), (against, opposite) = (debit, credit) if sign < 0 else (credit, debit)
    system = known_system_account(against) if sign else None
    if system is None or amount + opposite or amount * sign <= 0:
        return None
    asset = asset_by_id(system.asset_id)
    if not kind.allows(system.kind, asset.type, -sign) or amount != round(amount, asset.decimals):
        return None
    counted = (kind.uses.usage_class.code, clock.business_zone().key) if kind.uses and sign < 0 else ()
    rows = run(
        COUNTED_SQL if counted else UNCOUNTED_SQL,
        (
            account,
            against,
            amount,
            entry,
            kind.code,
            subject,
            asset.id,
            *clock.in_sql(),
            _kinds_of_owners(kind.code, asset.type),
            *counted,
        ),
    )
    return PairPosted(account, *rows[0]) if rows else None


@cache
def _owner_moves(entry_kind_code: str) -> int:
    """Which way the owner's account moves in a pair of this kind, -1 or 1; 0 where the flow table does not say, or says more.

    What gives usage back is more: the day is the caller's, and it may fail. So is a holding in a fund: what its day was made of
    is decided by the site's clock (freezing), and recorded by that one too.
    """
    kind = entry_kind(entry_kind_code)
    owners = {leg.direction for leg in kind.legs if not leg.account.folded}
    others = {leg.direction for leg in kind.legs if leg.account.folded}
    if (kind.uses is not None and kind.uses.gives_back) or any(leg.account is FUND for leg in kind.legs):
        return 0
    if owners == {Direction.DEBIT} and others == {Direction.CREDIT}:
        return -1
    return 1 if owners == {Direction.CREDIT} and others == {Direction.DEBIT} else 0


@cache
def _kinds_of_owners(entry_kind_code: str, asset_type: str) -> str:
    """The kinds of owners' accounts in the flow, in that type of asset, as an array's literal."""
    legs = entry_kind(entry_kind_code).legs
    return array(sorted({leg.account.code for leg in legs if not leg.account.folded and leg.asset_type == asset_type}))
