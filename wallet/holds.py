"""Holds: part of a balance set aside for one purpose, moved only under the account's lock, through a plan's steps.

state      from     by
open       -        PlaceHold
captured   open     CaptureHold (what the capture leaves over is released)
released   open     ReleaseHold

captured + released + lapsed + remaining = amount, at every moment (a CHECK says so too). Lapsing comes with the first
product whose holds lapse.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from django.db import connection

from superapp.sql_files import SqlParameters
from wallet.accounts import asset_by_id
from wallet.errors import AccountClosed, LedgerFault, insufficient_funds
from wallet.freezes import account_frozen
from wallet.models import Hold


@dataclass(frozen=True, slots=True)
class PlaceHold:
    """Sets `amount` of the account's balance aside. Refused with InsufficientFunds beyond what is available."""

    account: UUID
    hold_id: UUID
    amount: Decimal
    subject: UUID


@dataclass(frozen=True, slots=True)
class CaptureHold:
    """Takes `amount` out of the hold, for a leg of the same plan to spend, and frees the rest; this ends the hold."""

    account: UUID
    hold_id: UUID
    amount: Decimal


@dataclass(frozen=True, slots=True)
class ReleaseHold:
    """Frees all that remains of the hold; this ends it."""

    account: UUID
    hold_id: UUID


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
        self.ended: list[Hold] = []

    def apply(self, step: HoldStep, account: HoldableAccount, *, at: datetime) -> None:
        """Carries out one step on the locked account. Raises InsufficientFunds, AccountClosed, AccountFrozen, LedgerFault."""
        match step:
            case PlaceHold():
                self._place(step, account, at=at)
            case CaptureHold():
                self._end(step.hold_id, account, captured=step.amount)
            case ReleaseHold():
                self._end(step.hold_id, account, captured=None)

    def _place(self, step: PlaceHold, account: HoldableAccount, *, at: datetime) -> None:
        if step.amount <= 0:
            raise LedgerFault("A hold sets aside more than zero.")
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
            created_at=at,
        )
        self.placed.append(hold)
        self.existing[hold.id] = hold

    def _end(self, hold_id: UUID, account: HoldableAccount, *, captured: Decimal | None) -> None:
        hold = self.existing.get(hold_id)
        if hold is None or hold.account_id != account.id or hold.state != Hold.State.OPEN:
            raise LedgerFault(f"There is no open hold {hold_id} on this account.")
        if captured is not None and not 0 < captured <= hold.remaining:
            raise LedgerFault(f"Hold {hold_id} has {hold.remaining} left; {captured} cannot be captured.")
        account.held -= hold.remaining
        hold.captured += captured or 0
        hold.released += hold.remaining - (captured or 0)
        hold.remaining = Decimal(0)
        hold.state = Hold.State.RELEASED if captured is None else Hold.State.CAPTURED
        self.ended.append(hold)


def read(steps: Iterable[HoldStep]) -> OpenHolds:
    """The existing holds the steps name. Call it under the accounts' locks: every change of a hold happens there."""
    ids = {step.hold_id for step in steps if not isinstance(step, PlaceHold)}
    return OpenHolds({hold.id: hold for hold in Hold.objects.filter(id__in=ids)} if ids else {})


def write(holds: OpenHolds) -> None:
    """Writes what the steps changed."""
    if holds.placed:
        Hold.objects.bulk_create(holds.placed)
    if holds.ended:
        Hold.objects.bulk_update(holds.ended, ["state", "captured", "released", "remaining"])


FREE_SQL = """
    WITH parts AS MATERIALIZED ({parts}), freed AS (
        UPDATE wallet_hold h
        SET released = h.released + p.amount, remaining = h.remaining - p.amount,
            state = CASE WHEN h.remaining = p.amount THEN 'released' ELSE h.state END
        FROM parts p WHERE h.id = p.hold_id AND h.state = 'open'
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
        cursor.execute(FREE_SQL.format(parts=parts), params)
        named, freed = cursor.fetchone()
    if named != freed:
        raise LedgerFault(f"{named} holds were to be freed in part, {freed} of them are open.")
    return int(freed)
