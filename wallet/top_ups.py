"""Top-ups: money from a person's bank into their wallet, counted only when the bank says it is there.

state        how it gets there                                              what the ledger shows
REQUESTED    the person asks; the instruction waits in the outbox           nothing
INSTRUCTED   the rail has taken the instruction                             nothing
CONFIRMED    the bank's message, or its answer to an inquiry                bank -100, wallet +100
FAILED       the bank declined, or would not take the instruction           nothing

The bank's word arrives as messages that may be late, doubled, lost or about nothing of ours: `wallet.bank_callbacks`
acts on each at most once. A top-up that stays INSTRUCTED too long is asked after by `bank_callbacks.inquire_unanswered`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from superapp import clock, idempotency, outbox
from superapp.money import minor_unit_decimals, plain, positive
from wallet import limits, rails
from wallet.activity import Story, tells_of
from wallet.flows import TOP_UP
from wallet.models import TopUp
from wallet.policies import TOP_UP_MAXIMUM
from wallet.wallets import wallet_of

INSTRUCT = "wallet.instruct_top_up"
"""Outbox topic: a top-up's instruction on its way to its rail."""

State = TopUp.State

MOVES: Mapping[State, frozenset[State]] = {
    State.REQUESTED: frozenset({State.INSTRUCTED, State.CONFIRMED, State.FAILED}),
    State.INSTRUCTED: frozenset({State.CONFIRMED, State.FAILED}),
    State.CONFIRMED: frozenset(),
    State.FAILED: frozenset(),
}
"""Every allowed move. The bank's answer may overtake the INSTRUCTED step, so both open states may end."""


@dataclass(frozen=True, slots=True)
class ToppedUp:
    """The answer to a request: the top-up's id (of no row after a dry run), what it costs and where it goes."""

    top_up_id: UUID
    account_id: UUID
    amount: Decimal
    currency: str
    fee: Decimal
    dry_run: bool
    replayed: bool


def top_up(*, owner_id: UUID, amount: Decimal, currency: str, key: str, dry_run: bool = False) -> ToppedUp:
    """Asks the bank for money. The wallet is credited when the bank confirms, not before.

    Raises InvalidAmount, WalletNotOpen, LimitExceeded (policy wallet.top_up.maximum), InvalidIdempotencyKey,
    IdempotencyKeyReused, Unavailable.
    """
    asked = positive(amount, currency)

    def act() -> dict[str, str]:
        account = wallet_of(owner_id=owner_id, currency=currency)
        now = clock.now()
        limits.check_single(TOP_UP_MAXIMUM, amount=asked.amount, currency=currency, at=now)
        row = TopUp.objects.create(
            owner_id=owner_id,
            account=account,
            amount=asked.amount,
            currency=currency,
            rail=rails.default_rail(),
            requested_at=now,
        )
        outbox.emit(INSTRUCT, {"top_up": str(row.id)})
        return {
            "top_up": str(row.id),
            "account": str(account.id),
            "fee": plain(Decimal(0), minor_unit_decimals(currency)),
        }

    done = idempotency.once(
        user_id=owner_id,
        operation="topUp",
        key=key,
        request={"amount": asked},
        act=act,
        dry_run=dry_run,
    )
    return ToppedUp(
        top_up_id=UUID(done.answer["top_up"]),
        account_id=UUID(done.answer["account"]),
        amount=asked.amount,
        currency=currency,
        fee=Decimal(done.answer["fee"]),
        dry_run=dry_run,
        replayed=done.replayed,
    )


@tells_of(TOP_UP)
def tell(viewer_id: UUID, top_up_ids: Sequence[UUID]) -> Mapping[UUID, Story]:
    """What activity says of top-ups; they have no other person in them."""
    own = TopUp.objects.filter(id__in=top_up_ids, owner=viewer_id).values_list("id", flat=True)
    return {top_up_id: Story(subject_type="TopUp") for top_up_id in own}


def top_ups_of(owner_id: UUID) -> QuerySet[TopUp]:
    """A person's own top-ups; another person's are as if absent (X07)."""
    return TopUp.objects.filter(owner=owner_id)


@outbox.handles(INSTRUCT)
def instruct(payload: dict[str, Any]) -> None:
    """Hands a REQUESTED top-up to its rail; repeating it is harmless, the rail takes one instruction per reference."""
    row = TopUp.objects.get(id=payload["top_up"])
    if row.state != State.REQUESTED:
        return
    try:
        with transaction.atomic():
            rails.rail(row.rail).instruct(instruction_of(row))
    except rails.RailRefused as refusal:
        move(row.id, State.FAILED, failure=refusal.reason, ended_at=clock.now())
        return
    move(row.id, State.INSTRUCTED, instructed_at=clock.now())


def instruction_of(row: TopUp) -> rails.Instruction:
    """What the rail is told; our reference is the top-up's id."""
    return rails.Instruction(reference=str(row.id), amount=row.amount, currency=row.currency)


def move(top_up_id: UUID, to: State, **changes: object) -> bool:
    """Moves a top-up on if the table allows it from where it is; False when it does not, and nothing has changed.

    The UPDATE is conditional on the state: of two answers of the bank at once, one finds the state already final.
    """
    allowed_from = [state for state, targets in MOVES.items() if to in targets]
    moved = TopUp.objects.filter(id=top_up_id, state__in=allowed_from).update(state=to, **changes)
    return moved == 1
