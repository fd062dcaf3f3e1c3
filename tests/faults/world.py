"""The world in which money moves while things break: 64 people with wallets, 4 of them hot, a fund, a session for each.

    DATABASE_URL=... python -m tests.faults.world     one JSON object on the last line: `World`

It runs as a process of its own, through the functions of the product, so that a rig needs nothing of Django but its settings.
"""

import json
from dataclasses import asdict, dataclass
from datetime import timedelta
from decimal import Decimal

import django

PEOPLE, HOT = 64, 4
START = "2000.00"
FUND = "RIG"


@dataclass(frozen=True)
class Person:
    """One client of the bank: ids as the API and as the database write them, and a session's token."""

    id: str
    node: str
    account: str
    token: str


@dataclass(frozen=True)
class World:
    """Who is there. The first `HOT` people are in half of all moves."""

    people: list[Person]
    pin: str = ""
    """Everyone's payment PIN."""

    def written(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> "World":
        """From JSON."""
        found = json.loads(text)
        return cls(people=[Person(**person) for person in found["people"]], pin=found["pin"])


def make() -> World:
    """Makes it in the database of the settings, which has been migrated."""
    from funds import catalogue
    from superapp import clock
    from superapp.graphql.relay import node_id
    from tests import factories
    from wallet.accounts import currency_asset
    from wallet.models import Account

    catalogue.found_fund(
        code=FUND, name="Rig", currency="CNY", first_day=clock.today() + timedelta(days=1), terms="The terms."
    )
    people = []
    for number in range(PEOPLE):
        person = factories.a_payer(START, display_name=f"person {number}")
        catalogue.accept_terms(person_id=person.id, fund_code=FUND, version=1)
        account = Account.objects.get(owner=person, asset=currency_asset("CNY"))
        token = factories.session_token_for(person)
        people.append(Person(str(person.id), str(node_id("Person", person.id)), str(account.id), token))
    assert Account.objects.filter(balance=Decimal(START)).count() == PEOPLE
    return World(people, pin=factories.PIN)


if __name__ == "__main__":
    django.setup()
    print(make().written())  # noqa: T201  its answer
