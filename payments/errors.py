"""What payments refuse, beyond what the wallet refuses."""

from dataclasses import dataclass

from superapp.errors import DomainError


@dataclass(eq=False)
class PayeeNotFound(DomainError):
    """Nobody can be paid under that id, phone number or handle: unknown, not findable, or gone. The three look alike."""

    code = "PAYEE_NOT_FOUND"
    message = "Nobody can be paid under this name; check it, or ask them for their handle."


@dataclass(eq=False)
class CannotPayYourself(DomainError):
    """Sender and recipient are the same person."""

    code = "CANNOT_PAY_YOURSELF"
    message = "You cannot send money to yourself; choose another person."


@dataclass(eq=False)
class NoteTooLong(DomainError):
    """A note that is longer than `max_length` characters, or holds characters that cannot be shown. Not stored."""

    code = "NOTE_TOO_LONG"
    stored_with_key = False
    message = "A note has at most {max_length} characters; shorten it."
    max_length: int
