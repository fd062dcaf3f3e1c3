"""Transfers between people. Sending debits the sender and answers; the credit is the settlement worker's.

state         how it gets there                                           what the ledger shows
AUTHORISED    `send_money`                                                wallet of sender -10, in_transit +10
SETTLED       `payments.settlement`, in sets                              in_transit -10, wallet of recipient +10
RETURNING     the credit was refused (the recipient's wallet is closed)   nothing more: it is still in transit
RETURNED      `payments.settlement`, in sets                              in_transit -10, wallet of sender +10

Without a PIN a payment passes only as a small one (`wallet.small_payments`).

Locks, in order: the idempotency key, the PIN's row when no PIN came, the pair's thread when it is new, the recipient's wallet
when it is new, then one row: the sender's wallet. Round trips of a payment between people who have paid each other before:
the parties, BEGIN, key, small payment, postings, transfer, COMMIT; with a PIN the look for the key and the PIN's own two
come first.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS

from payments import parties
from payments.errors import NoteTooLong
from payments.flows import TRANSFER_SENT
from payments.models import Transfer
from payments.payees import Payee, count_lookup
from payments.policies import TRANSFER_MAXIMUM
from payments.threads import open_thread
from superapp import clock, doorbell, idempotency
from superapp.ids import uuid7
from superapp.money import minor_unit_decimals, plain, positive
from superapp.prepared import run
from wallet import limits, pins, small_payments
from wallet.accounts import currency_asset, system_account
from wallet.flows import IN_TRANSIT
from wallet.ledger import Leg, Plan, post
from wallet.wallets import open_wallet

NOTE_LENGTH = 200

_UNSHOWN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

SETTLE_TASK = "payments.settle_due"

_INSERT_SQL = """
    INSERT INTO payments_transfer (id, thread_id, sender_id, recipient_id, sender_account_id, recipient_account_id, amount,
                                   currency, note, state, return_reason, authorised_at, due_at, ended_at, sent_entry_id)
    VALUES (%s::uuid, %s::uuid, %s::uuid, %s::uuid, %s::uuid, %s::uuid, %s::numeric, %s::text, %s::text, %s::text, %s::text,
            %s::timestamptz, %s::timestamptz, %s::timestamptz, %s::uuid)
"""
"""In the order of the model's fields, so that the row need not be read to be known."""

_COLUMNS = tuple(field.attname for field in Transfer._meta.concrete_fields)

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
    transfer: Transfer | None
    """The row as it was written, with its recipient, where this call wrote it."""


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

    Raises InvalidAmount, NoteTooLong (neither is stored), PinNotSet, PinRequired (for what is no small payment), PinWrong,
    PinLocked, RateLimited (policy people.payee_lookups_of_a_person), PayeeNotFound, CannotPayYourself, WalletNotOpen,
    LimitExceeded (policy payments.transfer.maximum), InsufficientFunds, AccountClosed, AccountFrozen,
    InvalidIdempotencyKey, IdempotencyKeyReused, Unavailable.
    """
    asked = positive(amount, currency)
    sending = _Sending(
        sender_id=sender_id, to=to, amount=asked.amount, currency=currency, note=tidy_note(note), pin=pin
    )
    done = idempotency.once(
        user_id=sender_id,
        operation="sendMoney",
        key=key,
        request={"to": to.as_request(), "amount": asked, "note": sending.note},
        authorise=sending.authorise if pin or to.phone is not None else None,
        prepare=sending.prepare,
        act=sending.act,
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
        transfer=None if dry_run or done.replayed else sending.written,
    )


def tidy_note(note: str) -> str:
    """The note without space around it. Raises NoteTooLong beyond 200 characters or with what cannot be shown.

    Line breaks and tabs can; other control characters cannot, nor what turns the direction of the text around it.
    """
    said = note.strip()
    if len(said) > NOTE_LENGTH or _UNSHOWN.search(said):
        raise NoteTooLong(max_length=NOTE_LENGTH)
    return said


@dataclass(kw_only=True, slots=True)
class _Sending:
    """One payment, from the question who is paid to the row that says so."""

    sender_id: UUID
    to: Payee
    amount: Decimal
    currency: str
    note: str
    pin: str | None
    transfer_id: UUID = field(default_factory=uuid7)
    found: parties.Parties | None = None
    written: Transfer | None = None

    def authorise(self) -> None:
        """The PIN if there is one, and the look at a phone number; each commits what it counts."""
        if self.pin:
            pins.verify(user_id=self.sender_id, pin=self.pin)
        count_lookup(payer_id=self.sender_id, payee=self.to)

    def prepare(self) -> dict[str, str]:
        """Reads the parties; the answer that this payment will have unless it is refused."""
        self.found = parties.read(sender_id=self.sender_id, to=self.to, currency=self.currency)
        return {
            "transfer": str(self.transfer_id),
            "source": str(self.found.source_id),
            "fee": plain(Decimal(0), minor_unit_decimals(self.currency)),
            "arrival": "INSTANT",
        }

    def act(self) -> None:
        """Debits the sender and writes the transfer, in the caller's transaction; raises what refuses it."""
        if not self.pin:
            small_payments.spend(user_id=self.sender_id, amount=self.amount, currency=self.currency)
        assert self.found is not None  # noqa: S101 - `prepare` comes first
        recipient, source_id = self.found.complete()
        limits.check_single(TRANSFER_MAXIMUM, amount=self.amount, currency=self.currency, at=clock.now())
        thread_id = self.found.thread_id or open_thread(self.sender_id, recipient.pk)
        # opened here rather than at settlement, so that the set-based worker never has to open one
        target_id = self.found.target_id or open_wallet(owner_id=recipient.pk, currency=self.currency).id
        in_transit = system_account(IN_TRANSIT, currency_asset(self.currency))
        legs = [Leg(source_id, -self.amount), Leg(in_transit, self.amount)]
        entry = post(Plan(kind=TRANSFER_SENT, subject=self.transfer_id, legs=legs))[0]
        written = (
            self.transfer_id, thread_id, self.sender_id, recipient.pk, source_id, target_id, self.amount, self.currency,
            self.note, State.AUTHORISED.value, "", entry.recorded_at, entry.recorded_at, None, entry.entry_id,
        )  # fmt: skip
        run(_INSERT_SQL, written, answers=False)
        row = Transfer.from_db(DEFAULT_DB_ALIAS, _COLUMNS, (*written, None, None))
        row.recipient = recipient
        self.written = row
        doorbell.ring(SETTLE_TASK)
