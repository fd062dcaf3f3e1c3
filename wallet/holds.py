"""Holds: part of a balance set aside for one purpose, moved only under the account's lock.

state      from     by
open       -        PlaceHold
open       open     CaptureHold and ReleaseHold of a part: the rest stays set aside
captured   open     CaptureHold that is final (what it leaves over is released), or that takes the last of it
released   open     ReleaseHold of all that is left, or of the last part
lapsed     open     the sweep (`lapse_due`), once the hold's term, `lapses_at`, has come

captured + released + lapsed + remaining = amount, at every moment (a CHECK says so too); a hold that has ended holds
nothing, and its state names what ended it. The term is decided by the clock at the act: from `lapses_at` on nothing can be
captured (HoldLapsed), whether or not the sweep has come by. Until it has, the hold can still be released, which gives back
what was lapsing anyway; until one of the two, the amount counts as held.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from django.db import connection, transaction

from superapp import clock
from superapp.prepared import array, run
from superapp.sql_files import SqlParameters
from wallet.accounts import asset_by_id
from wallet.errors import AccountClosed, HoldLapsed, LedgerFault, insufficient_funds
from wallet.freezes import account_frozen
from wallet.models import Hold

State = Hold.State

MOVES: Mapping[State, frozenset[State]] = {
    State.OPEN: frozenset({State.OPEN, State.CAPTURED, State.RELEASED, State.LAPSED}),
    State.CAPTURED: frozenset(),
    State.RELEASED: frozenset(),
    State.LAPSED: frozenset(),
}
"""Every allowed move. Each statement that moves a hold names `open` as the state it moves from: no other leads anywhere."""

LAPSE_BATCH = 5_000
"""Holds that one sweep's transaction lapses: a few tenths of a second under the accounts' locks."""


@dataclass(frozen=True, slots=True)
class PlaceHold:
    """Sets `amount` of the account's balance aside, until `lapses_at` or for good. Raises InsufficientFunds beyond what is
    available.
    """

    account: UUID
    hold_id: UUID
    amount: Decimal
    subject: UUID
    lapses_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CaptureHold:
    """Takes `amount` out of the hold, for a leg of the same plan to spend. Raises HoldLapsed when its term has come.

    `final`: this ends the hold and frees what is left of it; otherwise the rest stays set aside for another capture.
    """

    account: UUID
    hold_id: UUID
    amount: Decimal
    final: bool


@dataclass(frozen=True, slots=True)
class ReleaseHold:
    """Frees `amount` of the hold, or all that remains of it; a hold of which nothing remains has ended."""

    account: UUID
    hold_id: UUID
    amount: Decimal | None = None


HoldStep = PlaceHold | CaptureHold | ReleaseHold


class HoldableAccount(Protocol):
    """What a hold needs of a locked account."""

    id: UUID
    asset_id: int
    held: Decimal
    closed: bool
    frozen: bool

    @property
    def available(self) -> Decimal:
        """What may still be taken."""
        ...


class OpenHolds:
    """The holds that one call of the ledger touches, moved along in memory."""

    def __init__(self, existing: dict[UUID, Hold]) -> None:
        self.existing = existing
        self.placed: list[Hold] = []
        self.moved: dict[UUID, Hold] = {}

    def apply(self, step: HoldStep, account: HoldableAccount, *, at: datetime) -> None:
        """Carries out one step on the locked account. Raises InsufficientFunds, AccountClosed, AccountFrozen, HoldLapsed,
        LedgerFault.
        """
        match step:
            case PlaceHold():
                self._place(step, account, at=at)
            case CaptureHold():
                self._capture(step, account, at=at)
            case ReleaseHold():
                self._release(step, account, at=at)

    def _place(self, step: PlaceHold, account: HoldableAccount, *, at: datetime) -> None:
        if step.amount <= 0:
            raise LedgerFault("A hold sets aside more than zero.")
        if step.lapses_at is not None and step.lapses_at <= at:
            raise LedgerFault(f"A hold that lapses at {step.lapses_at} cannot be placed at {at}.")
        if account.closed:
            raise AccountClosed
        if account.frozen:
            raise account_frozen(account.id)
        if step.amount > account.available:
            raise insufficient_funds(account.available, step.amount, asset_by_id(account.asset_id))
        account.held += step.amount
        hold = Hold(
            id=step.hold_id,
            account_id=account.id,
            subject=step.subject,
            amount=step.amount,
            remaining=step.amount,
            lapses_at=step.lapses_at,
            created_at=at,
        )
        self.placed.append(hold)
        self.existing[hold.id] = hold

    def _capture(self, step: CaptureHold, account: HoldableAccount, *, at: datetime) -> None:
        hold = self._open(step, account, at=at)
        if hold.lapses_at is not None and hold.lapses_at <= at:
            raise HoldLapsed(lapsed_at=hold.lapses_at)
        self._check_part(hold, step.amount, "captured")
        hold.captured += step.amount
        freed = hold.remaining if step.final else step.amount
        hold.released += freed - step.amount
        self._free(hold, freed, account, end=State.CAPTURED, at=at)

    def _release(self, step: ReleaseHold, account: HoldableAccount, *, at: datetime) -> None:
        hold = self._open(step, account, at=at)
        freed = hold.remaining if step.amount is None else step.amount
        self._check_part(hold, freed, "released")
        hold.released += freed
        self._free(hold, freed, account, end=State.RELEASED, at=at)

    def _open(self, step: CaptureHold | ReleaseHold, account: HoldableAccount, *, at: datetime) -> Hold:
        hold = self.existing.get(step.hold_id)
        if hold is not None and hold.account_id == account.id and hold.state == State.LAPSED:
            raise HoldLapsed(lapsed_at=hold.lapses_at or at)
        if hold is None or hold.account_id != account.id or hold.state != State.OPEN:
            raise LedgerFault(f"There is no open hold {step.hold_id} on this account.")
        return hold

    def _check_part(self, hold: Hold, amount: Decimal, what: str) -> None:
        if not 0 < amount <= hold.remaining:
            raise LedgerFault(f"Hold {hold.id} has {hold.remaining} left; {amount} cannot be {what}.")

    def _free(self, hold: Hold, amount: Decimal, account: HoldableAccount, *, end: State, at: datetime) -> None:
        account.held -= amount
        hold.remaining -= amount
        if not hold.remaining:
            hold.state, hold.ended_at = end, at
        self.moved[hold.id] = hold


def read(steps: Iterable[HoldStep]) -> OpenHolds:
    """The existing holds the steps name. Call it under the accounts' locks: every change of a hold happens there."""
    ids = {step.hold_id for step in steps if not isinstance(step, PlaceHold)}
    return OpenHolds({hold.id: hold for hold in Hold.objects.filter(id__in=ids)} if ids else {})


WRITE_SQL = """
    UPDATE wallet_hold h
    SET state = m.state, captured = m.captured, released = m.released, remaining = m.remaining, ended_at = m.ended_at
    FROM unnest(%s::uuid[], %s::text[], %s::numeric[], %s::numeric[], %s::numeric[], %s::timestamptz[])
         AS m (id, state, captured, released, remaining, ended_at)
    WHERE h.id = m.id AND h.state = 'open'
    RETURNING h.id
"""


def write(holds: OpenHolds) -> None:
    """Writes what the steps changed. Raises LedgerFault when a hold was not open any more: its account was not locked."""
    placed = {hold.id for hold in holds.placed}
    if placed:
        Hold.objects.bulk_create(holds.placed)
    moved = [hold for hold in holds.moved.values() if hold.id not in placed]
    if not moved:
        return
    columns = ("id", "state", "captured", "released", "remaining", "ended_at")
    written = run(WRITE_SQL, tuple(array(getattr(hold, column) for hold in moved) for column in columns))
    if len(written) != len(moved):
        raise LedgerFault(f"{len(moved)} holds were to be moved, {len(written)} of them are open.")


FREE_SQL = """
    WITH parts AS MATERIALIZED ({parts}), freed AS (
        UPDATE wallet_hold h
        SET released = h.released + p.amount, remaining = h.remaining - p.amount,
            state = CASE WHEN h.remaining = p.amount THEN 'released' ELSE h.state END,
            ended_at = CASE WHEN h.remaining = p.amount THEN %(freed_at)s::timestamptz END
        FROM parts p WHERE h.id = p.hold_id AND h.state = 'open' AND p.amount > 0
        RETURNING h.account_id, p.amount
    ), accounts AS (
        UPDATE wallet_account a SET held = a.held - f.amount
        FROM (SELECT account_id, sum(amount) AS amount FROM freed GROUP BY account_id) f
        WHERE a.id = f.account_id
    )
    SELECT (SELECT count(*) FROM parts), (SELECT count(*) FROM freed)
"""


def free_in_set(*, parts: str, params: SqlParameters) -> int:
    """Frees a part of each open hold that a query of (hold_id, amount) names, and says how many there were.

    The caller has locked the accounts in id order. A hold of which nothing remains ends as released. Raises LedgerFault
    when a named hold is not open; taking more than remains fails on a CHECK.
    """
    with connection.cursor() as cursor:
        cursor.execute(FREE_SQL.format(parts=parts), {**params, "freed_at": clock.now()})
        named, freed = cursor.fetchone()
    if named != freed:
        raise LedgerFault(f"{named} holds were to be freed in part, {freed} of them are open.")
    return int(freed)


DUE_SQL = """
    SELECT id, account_id FROM wallet_hold
    WHERE state = 'open' AND lapses_at <= %(now)s
    ORDER BY lapses_at, id LIMIT %(limit)s
"""

LOCK_SQL = "SELECT id FROM wallet_account WHERE id = ANY(%(accounts)s) ORDER BY id FOR NO KEY UPDATE"

LAPSE_SQL = """
    WITH lapsed AS (
        UPDATE wallet_hold h
        SET state = 'lapsed', lapsed = h.lapsed + h.remaining, remaining = 0, ended_at = %(now)s
        WHERE h.id = ANY(%(holds)s) AND h.state = 'open' AND h.lapses_at <= %(now)s
        RETURNING h.account_id, old.remaining AS amount
    ), accounts AS (
        UPDATE wallet_account a SET held = a.held - l.amount
        FROM (SELECT account_id, sum(amount) AS amount FROM lapsed GROUP BY account_id) l
        WHERE a.id = l.account_id
    )
    SELECT count(*) FROM lapsed
"""


def lapse_due(*, limit: int = LAPSE_BATCH) -> int:
    """Ends the holds whose term has come, the longest overdue first, and frees what they held; how many there were.

    A transaction of its own, in three statements: find, lock the accounts in id order, then end those that are still open.
    A capture or a release that was quicker has moved its hold, and the third statement passes it over. Safe to run anywhere,
    any time, by several at once.
    """
    now = clock.now()
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute(DUE_SQL, {"now": now, "limit": limit})
        due = cursor.fetchall()
        if not due:
            return 0
        cursor.execute(LOCK_SQL, {"accounts": [account for _, account in due]})
        cursor.execute(LAPSE_SQL, {"now": now, "holds": [hold for hold, _ in due]})
        return int(cursor.fetchone()[0])
