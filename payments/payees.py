"""Payees: how a payer names a person. Whom that is, and whether they can be paid, says `payments.parties`.

Naming a phone number is a way to learn that a stranger is here, so it is counted like a look-up (`superapp.payees`).
"""

from dataclasses import dataclass
from uuid import UUID

from superapp import payees


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


def count_lookup(*, payer_id: UUID, payee: Payee) -> None:
    """Counts one look at a phone number; other names are not counted, they tell nothing that was not known.

    Raises RateLimited (policy people.payee_lookups_of_a_person).
    """
    if payee.phone is not None:
        payees.count_lookup(asker_id=payer_id)
