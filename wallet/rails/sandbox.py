"""A bank for sandboxes: asynchronous, and on demand late, forgetful, repetitive, contradictory or unwilling.

What it does with an instruction depends on the amount, in whatever currency:

    4001    declines: insufficient_funds
    4002    declines: account_blocked
    4003    refuses the instruction itself: amount_not_accepted
    4101    confirms ten minutes late
    4102    confirms, and sends the same message twice
    4103    confirms, and says so again in a second message with a reference of its own
    4104    confirms, and its message is lost: only a status inquiry finds out
    4105    declines (insufficient_funds), and its message is lost
    4106    sends a message about an instruction nobody gave, then confirms
    4107    confirms, then declines: a contradiction
    4108    first confirms another amount (0.01 less where there are decimals, else 1 less), later the right one
    4109    never decides: messages none, inquiries answer "pending"
    other   confirms after about a second

Messages travel through the outbox, so they keep coming after a restart, at least once each. `docs/sandbox-bank.md`
shows the same table to people who try the API.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from superapp import clock, outbox
from superapp.money import minor_unit_decimals
from wallet.models import BankCallback, SandboxBankOrder
from wallet.rails.base import Instruction, RailAnswer, RailRefused

NAME = "sandbox"
SAYS = "wallet.sandbox_bank_says"
"""Outbox topic: one message of the bank on its way to us."""

CONFIRMED = BankCallback.Status.CONFIRMED.value
DECLINED = BankCallback.Status.DECLINED.value
PENDING = "pending"

USUAL_DELAY = timedelta(seconds=1)
LATE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Message:
    """One message the bank will send: its number, what it says, after how long, and what is wrong with it."""

    status: str
    number: int = 1
    after: timedelta = USUAL_DELAY
    times: int = 1
    stranger: bool = False
    short_by_one: bool = False


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the bank decides, and which messages it sends about it."""

    decides: str = CONFIRMED
    reason: str = ""
    messages: tuple[Message, ...] = field(default_factory=tuple)


_LATER = USUAL_DELAY * 2

USUAL = Behaviour(messages=(Message(CONFIRMED),))
REFUSED = {Decimal(4003): "amount_not_accepted"}
BEHAVIOURS: Mapping[Decimal, Behaviour] = {
    Decimal(4001): Behaviour(DECLINED, "insufficient_funds", (Message(DECLINED),)),
    Decimal(4002): Behaviour(DECLINED, "account_blocked", (Message(DECLINED),)),
    Decimal(4101): Behaviour(messages=(Message(CONFIRMED, after=LATE),)),
    Decimal(4102): Behaviour(messages=(Message(CONFIRMED, times=2),)),
    Decimal(4103): Behaviour(messages=(Message(CONFIRMED), Message(CONFIRMED, number=2, after=_LATER))),
    Decimal(4104): Behaviour(),
    Decimal(4105): Behaviour(DECLINED, "insufficient_funds"),
    Decimal(4106): Behaviour(messages=(Message(CONFIRMED, stranger=True), Message(CONFIRMED, number=2, after=_LATER))),
    Decimal(4107): Behaviour(messages=(Message(CONFIRMED), Message(DECLINED, number=2, after=_LATER))),
    Decimal(4108): Behaviour(
        messages=(Message(CONFIRMED, short_by_one=True), Message(CONFIRMED, number=2, after=_LATER))
    ),
    Decimal(4109): Behaviour(PENDING),
}


class SandboxRail:
    """The sandbox bank behind the interface of a rail."""

    def instruct(self, instruction: Instruction) -> None:
        """Takes the instruction into the bank's book and posts its messages. Raises RailRefused for a chosen amount."""
        refusal = REFUSED.get(instruction.amount)
        if refusal is not None:
            raise RailRefused(refusal)
        behaviour = BEHAVIOURS.get(instruction.amount, USUAL)
        now = clock.now()
        order, is_new = SandboxBankOrder.objects.get_or_create(
            reference=instruction.reference,
            defaults={
                "amount": instruction.amount,
                "currency": instruction.currency,
                "status": behaviour.decides,
                "reason": behaviour.reason,
                "received_at": now,
            },
        )
        if not is_new:
            return
        for message in behaviour.messages:
            for _ in range(message.times):
                outbox.emit(SAYS, _written(order, message), available_at=now + message.after)

    def inquire(self, reference: str) -> RailAnswer:
        """What the bank's book says about the reference."""
        order = SandboxBankOrder.objects.filter(reference=reference).first()
        if order is None:
            return RailAnswer(status="unknown")
        return RailAnswer(
            status=order.status,
            message_reference=f"SBX-{order.reference}-inquiry",
            amount=order.amount,
            currency=order.currency,
            reason=order.reason,
        )


def _written(order: SandboxBankOrder, message: Message) -> dict[str, Any]:
    smallest = Decimal(1).scaleb(-minor_unit_decimals(order.currency))
    amount = order.amount - smallest if message.short_by_one else order.amount
    return {
        "reference": f"SBX-{order.reference}-{message.number}",
        "instruction": f"stranger-{order.reference}" if message.stranger else order.reference,
        "status": message.status,
        "amount": format(amount, "f"),
        "currency": order.currency,
        "reason": order.reason or ("changed_its_mind" if message.status == DECLINED else ""),
    }
