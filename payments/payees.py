"""Payees: whom a payer may name, and how. Whoever cannot be paid is answered alike, whatever the reason.

Naming a phone number is a way to learn that a stranger is here, so it is counted like a look-up (`superapp.payees`).
"""

from dataclasses import dataclass
from uuid import UUID

from payments.errors import PayeeNotFound
from superapp import payees, people
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
    been deactivated, for an operator, and for a name that is not exactly one: the answers do not differ.
    """
    person: User | None = None
    match list(payee.as_request()):
        case ["id"]:
            person = User.objects.filter(id=payee.as_request()["id"]).first()
        case ["phone"]:
            person = people.with_phone(payee.phone or "")
            person = person if person and person.findable_by_phone else None
        case ["handle"]:
            person = User.objects.filter(handle=payee.as_request()["handle"]).first()
    if person is None or not person.is_active or person.is_staff:
        raise PayeeNotFound
    return person


def count_lookup(*, payer_id: UUID, payee: Payee) -> None:
    """Counts one look at a phone number; other names are not counted, they tell nothing that was not known.

    Raises RateLimited (policy people.payee_lookups_of_a_person).
    """
    if payee.phone is not None:
        payees.count_lookup(asker_id=payer_id)
