"""Choosing whom to pay by a phone number: the one place where a person learns of another they do not know yet.

It tells little and not often: only people who agreed to be found (`findable_by_phone`), only their id, their handle and
a masked name, enough for a payer to see that it is the right one; a number nobody has, one whose owner does not want to
be found and one whose owner has left are answered alike. Counted per person who asks and per network address.
"""

from dataclasses import dataclass
from uuid import UUID

from superapp import people, policies
from superapp.models import User
from superapp.rate_limits import Limit, count

WINDOW_SECONDS = 600

LOOKUPS_OF_A_PERSON = policies.define(
    "people.payee_lookups_of_a_person",
    type=policies.Count(),
    default=30,
    doc="How many phone numbers one person may look up in ten minutes to choose a payee.",
)
LOOKUPS_OF_AN_ADDRESS = policies.define(
    "people.payee_lookups_of_an_address",
    type=policies.Count(),
    default=120,
    doc="How many phone numbers may be looked up in ten minutes from one network address.",
)


@dataclass(frozen=True)
class Payee:
    """What a payer may know of someone found by phone."""

    id: UUID
    masked_name: str
    handle: str | None


def find_by_phone(*, asker: User, address: str, phone: str) -> Payee | None:
    """The person who has confirmed this number and may be found by it, or None.

    Raises RateLimited. Malformed numbers count too: they cost a guesser as much as good ones.
    """
    count_lookup(asker_id=asker.pk, address=address)
    found = people.with_phone(phone)
    if found is None or not (found.findable_by_phone and found.is_active) or found.is_staff:
        return None
    return Payee(id=found.pk, masked_name=masked_name(found.display_name), handle=found.handle)


def count_lookup(*, asker_id: UUID, address: str | None = None) -> None:
    """Counts one look at a phone number by a person and, where it is known, from a network address.

    Raises RateLimited.
    """
    count(_limit(LOOKUPS_OF_A_PERSON), str(asker_id))
    if address is not None:
        count(_limit(LOOKUPS_OF_AN_ADDRESS), address)


def _limit(policy: policies.Policy[int]) -> Limit:
    return Limit(name=policy.name, most=policy.now().value, window_seconds=WINDOW_SECONDS)


def masked_name(name: str) -> str:
    """A name that its bearer's friends recognise and strangers do not learn: "Anna Li" → "A*** L*", "王小明" → "*小明".

    Names in Latin and like scripts keep each word's first letter; a name without spaces of up to four Han characters
    hides its first one, the family name, as payment apps in China do.
    """
    words = name.split()
    if len(words) == 1 and 2 <= len(name) <= 4 and all("\u4e00" <= character <= "\u9fff" for character in name):
        return f"*{name[1:]}"
    return " ".join(word[0] + "*" * min(len(word) - 1, 3) for word in words)
