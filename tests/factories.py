"""Makes what tests need, through the same functions the product uses. Each call makes something new and unique."""

import itertools

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
