"""Payees: whom a payer may name, and how. Whoever cannot be paid is answered alike, whatever the reason.

Naming a phone number is the one way to learn that a stranger is here. So it is counted per person and hour, in a commit of
its own before the look; the answer shows a masked name; and a person can opt out of being found.
"""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import connection

from payments.errors import PayeeNotFound
from payments.policies import PHONE_LOOKUPS_AN_HOUR
from superapp import clock, people
from superapp.errors import RateLimited
from superapp.models import User

HOUR = timedelta(hours=1)

_COUNT = """
INSERT INTO payments_phonelookup AS l (person_id, hour, count) VALUES (%(person)s, %(hour)s, 1)
ON CONFLICT (person_id) DO UPDATE
   SET count = CASE WHEN l.hour = excluded.hour THEN l.count + 1 ELSE 1 END, hour = excluded.hour
RETURNING count
"""


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
            person = User.objects.filter(id=payee.as_request()["id"]).first()
        case ["phone"]:
            person = people.with_phone(payee.phone or "")
            person = person if person and person.findable_by_phone else None
        case ["handle"]:
            person = User.objects.filter(handle=payee.as_request()["handle"]).first()
    if person is None or not person.is_active:
        raise PayeeNotFound
    return person


def look_up(*, viewer_id: UUID, phone: str) -> User | None:
    """Who can be paid under a phone number, or None. Raises RateLimited (policy payments.phone_lookups_an_hour)."""
    payee = Payee(phone=phone)
    count_lookup(person_id=viewer_id, payee=payee)
    try:
        return find_payee(payee)
    except PayeeNotFound:
        return None


def count_lookup(*, person_id: UUID, payee: Payee) -> None:
    """Counts one look at a phone number; other names are not counted. Raises RateLimited beyond the hour's number.

    Runs outside of the transaction that looks, so that a look cannot be taken back by a rollback.
    """
    if payee.phone is None:
        return
    hour = clock.now().replace(minute=0, second=0, microsecond=0)
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, {"person": person_id, "hour": hour})
        (count,) = cursor.fetchone()
    if count > PHONE_LOOKUPS_AN_HOUR.now().value:
        raise RateLimited(retry_at=hour + HOUR)


def masked(name: str) -> str:
    """A name of which each word shows only its first character: "Han Meimei" becomes "H** M*****"."""
    return " ".join(word[0] + "*" * (len(word) - 1) for word in name.split())
