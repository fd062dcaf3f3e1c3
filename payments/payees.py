"""Payees: whom a payer may name, and how. Whoever cannot be paid is answered alike, whatever the reason."""

from dataclasses import dataclass
from uuid import UUID

from payments.errors import PayeeNotFound
from superapp import people
from superapp.models import User


@dataclass(frozen=True, slots=True)
class Payee:
    """How a payer names a person: by exactly one of id, phone number (confirmed by its owner, as written) or handle."""

    id: UUID | None = None
    phone: str | None = None
    handle: str | None = None

    def as_request(self) -> dict[str, str]:
        """The name as it counts for the fingerprint of a request."""
        named = {"id": str(self.id or ""), "phone": self.phone or "", "handle": (self.handle or "").strip().lower()}
        return {way: name for way, name in named.items() if name}


def find_payee(payee: Payee) -> User:
    """The person who can be paid under that name.

    Raises PayeeNotFound for nobody, for a phone number whose owner does not want to be found by it, for a person who has
    been deactivated, and for a name that is not exactly one: the answers do not differ.
    """
    person: User | None = None
    match list(payee.as_request()):
        case ["id"]:
            person = User.objects.filter(id=payee.id).first()
        case ["phone"]:
            person = people.with_phone(payee.phone or "")
            person = person if person and person.findable_by_phone else None
        case ["handle"]:
            person = User.objects.filter(handle=payee.as_request()["handle"]).first()
    if person is None or not person.is_active:
        raise PayeeNotFound
    return person
