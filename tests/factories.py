"""Makes what tests need, through the same functions the product uses. Each call makes something new and unique."""

import itertools
from decimal import Decimal
from uuid import UUID, uuid4

from superapp import people, sessions
from superapp.models import User

PASSWORD = "correct horse battery"

_numbers = itertools.count(1)


def a_phone() -> str:
    """A phone number nobody else has in this test."""
    return f"+86138{next(_numbers):08d}"


def a_person(
    display_name: str = "Li Lei",
    *,
    phone: str | None = None,
    email: str | None = None,
    handle: str | None = None,
    password: str | None = None,
) -> User:
    """A person with a confirmed phone number (a new one, unless an e-mail address is given instead).

    Without `password` none is hashed, which is quick; such a person acts through `session_token_for`.
    """
    if phone is None and email is None:
        phone = a_phone()
    return people.register(display_name=display_name, phone=phone, email=email, handle=handle, password=password)


def an_operator(display_name: str = "Op Erator", *, email: str | None = None, password: str = PASSWORD) -> User:
    """A superuser of the back office with a confirmed e-mail address."""
    return people.register_operator(
        email=email or f"operator{next(_numbers)}@superapp.example", password=password, display_name=display_name
    )


def session_token_for(person: User) -> str:
    """A token for the header X-Session-Token."""
    return sessions.open_session(person)


PIN = "135246"
"""The payment PIN of everyone who has one."""


def a_payer(
    balance: str = "100.00", *, currency: str = "CNY", pin: str | None = PIN, display_name: str = "Li Lei", **named: str
) -> User:
    """A person with a payment PIN and a wallet that holds `balance`, brought in by a top-up the bank has confirmed."""
    from wallet import pins, wallets

    person = a_person(display_name, **named)
    wallets.open_wallet(owner_id=person.pk, currency=currency)
    if pin:
        pins.set_pin(user_id=person.pk, pin=pin)
    if Decimal(balance):
        a_top_up(person, balance, currency=currency)
    return person


def a_top_up(person: User, amount: str, *, currency: str = "CNY") -> None:
    """Money from the bank, confirmed; the person's wallet is open."""
    from wallet import bank_callbacks, top_ups

    asked = top_ups.top_up(owner_id=person.pk, amount=Decimal(amount), currency=currency, key=str(uuid4()))
    bank_callbacks.record_callback(
        rail="sandbox",
        reference=f"test-{asked.top_up_id}",
        instruction=str(asked.top_up_id),
        status="confirmed",
        amount=Decimal(amount),
        currency=currency,
    )


def a_transfer(sender: User, recipient: User, amount: str = "10.00", *, note: str = "", currency: str = "CNY") -> UUID:
    """Money that is on its way; answers the transfer's id."""
    from payments import transfers
    from payments.payees import Payee

    sent = transfers.send_money(
        sender_id=sender.pk,
        to=Payee(id=recipient.pk),
        amount=Decimal(amount),
        currency=currency,
        note=note,
        pin=PIN,
        key=str(uuid4()),
    )
    return sent.transfer_id
