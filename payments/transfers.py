"""Transfers between people. Sending debits the sender and answers; the credit is the settlement worker's.

state         how it gets there                                           what the ledger shows
AUTHORISED    `send_money`                                                wallet of sender -10, in_transit +10
SETTLED       `payments.settlement`, in sets                              in_transit -10, wallet of recipient +10
RETURNING     the credit was refused (the recipient's wallet is closed)   nothing more: it is still in transit
RETURNED      `payments.settlement`, in sets                              in_transit -10, wallet of sender +10

Locks, in order: the idempotency key, the pair's thread when it is new, the recipient's wallet when it is new, then one
row: the sender's wallet.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from payments.errors import CannotPayYourself, NoteTooLong
from payments.flows import TRANSFER_SENT
from payments.models import Transfer
from payments.payees import Payee, count_lookup, find_payee
from payments.policies import TRANSFER_MAXIMUM
from payments.threads import open_thread
from superapp import clock, doorbell, idempotency
from superapp.ids import uuid7
from superapp.money import minor_unit_decimals, plain, positive
from wallet import limits, pins
from wallet.accounts import currency_asset, system_account
from wallet.flows import IN_TRANSIT
from wallet.ledger import Leg, Plan, post
from wallet.wallets import open_wallet, wallet_of

NOTE_LENGTH = 200

_UNSHOWN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

SETTLE_TASK = "payments.settle_due"

State = Transfer.State

MOVES: Mapping[State, frozenset[State]] = {
    State.AUTHORISED: frozenset({State.SETTLED, State.RETURNING}),
    State.RETURNING: frozenset({State.RETURNED}),
    State.SETTLED: frozenset(),
    State.RETURNED: frozenset(),
}
"""Every allowed move; a settlement statement names the state it moves from, taken from here."""

IN_TRANSIT_STATES = (State.AUTHORISED, State.RETURNING)
"""While it is in one of these, the amount is part of the balance of the system account in_transit (I21)."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The answer to `send_money`. After a dry run the figures are the same and `transfer_id` names no row."""

    transfer_id: UUID
    amount: Decimal
    currency: str
    fee: Decimal
    source_account_id: UUID
    arrival: str
    """INSTANT: due at once, which the settlement worker makes a moment."""
    dry_run: bool
    replayed: bool


def send_money(
    *,
    sender_id: UUID,
    to: Payee,
    amount: Decimal,
    currency: str,
    note: str,
    pin: str | None,
    key: str,
    dry_run: bool = False,
) -> Sent:
    """Sends money to a person: leaves the sender's wallet now, reaches the recipient's a moment later.

    Raises InvalidAmount, NoteTooLong (neither is stored), PinNotSet, PinRequired, PinWrong, PinLocked, RateLimited
    (policy people.payee_lookups_of_a_person), PayeeNotFound, CannotPayYourself, WalletNotOpen (the sender's),
    LimitExceeded (policy payments.transfer.maximum), InsufficientFunds, AccountClosed, AccountFrozen,
    InvalidIdempotencyKey, IdempotencyKeyReused, Unavailable.
    """
    asked = positive(amount, currency)
    said = tidy_note(note)

    def authorise() -> None:
        pins.verify(user_id=sender_id, pin=pin)
        count_lookup(payer_id=sender_id, payee=to)

    done = idempotency.once(
        user_id=sender_id,
        operation="sendMoney",
        key=key,
        request={"to": to.as_request(), "amount": asked, "note": said},
        authorise=authorise,
        act=lambda: _authorise(sender_id=sender_id, to=to, amount=asked.amount, currency=currency, note=said),
        dry_run=dry_run,
    )
    return Sent(
        transfer_id=UUID(done.answer["transfer"]),
        amount=asked.amount,
        currency=currency,
        fee=Decimal(done.answer["fee"]),
        source_account_id=UUID(done.answer["source"]),
        arrival=done.answer["arrival"],
        dry_run=dry_run,
        replayed=done.replayed,
    )


def tidy_note(note: str) -> str:
    """The note without space around it. Raises NoteTooLong beyond 200 characters or with what cannot be shown.

    Line breaks and tabs can; other control characters cannot, nor what turns the direction of the text around it.
    """
    said = note.strip()
    if len(said) > NOTE_LENGTH or _UNSHOWN.search(said):
        raise NoteTooLong(max_length=NOTE_LENGTH)
    return said


def _authorise(*, sender_id: UUID, to: Payee, amount: Decimal, currency: str, note: str) -> dict[str, str]:
    recipient = find_payee(to)
    if recipient.id == sender_id:
        raise CannotPayYourself
    source = wallet_of(owner_id=sender_id, currency=currency)
    now = clock.now()
    limits.check_single(TRANSFER_MAXIMUM, amount=amount, currency=currency, at=now)
    thread_id = open_thread(sender_id, recipient.id)
    # opened here rather than at settlement, so that the set-based worker never has to open one
    target = open_wallet(owner_id=recipient.id, currency=currency)
    in_transit = system_account(IN_TRANSIT, currency_asset(currency))
    transfer_id = uuid7()
    plan = Plan(kind=TRANSFER_SENT, subject=transfer_id, legs=[Leg(source.id, -amount), Leg(in_transit, amount)])
    entry = post(plan)[0]
    Transfer.objects.bulk_create(
        [
            Transfer(
                id=transfer_id,
                thread_id=thread_id,
                sender_id=sender_id,
                recipient_id=recipient.id,
                sender_account_id=source.id,
                recipient_account_id=target.id,
                amount=amount,
                currency=currency,
                note=note,
                authorised_at=entry.recorded_at,
                due_at=entry.recorded_at,
                sent_entry_id=entry.entry_id,
            )
        ]
    )
    doorbell.ring(SETTLE_TASK)
    return {
        "transfer": str(transfer_id),
        "source": str(source.id),
        "fee": plain(Decimal(0), minor_unit_decimals(currency)),
        "arrival": "INSTANT",
    }
