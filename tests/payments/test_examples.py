"""The ready-made operations about money work as they stand, for the first person of a seeded sandbox."""

import json
from uuid import uuid4

import pytest

from config import sandbox_world
from superapp.graphql import graphiql
from superapp.models import User
from tests.asking import data_of
from tests.factories import a_payer

NUMBERS = {"03", "04", "05", "06", *(str(number) for number in range(20, 30))}
MONEY = [example for example in graphiql.examples() if example.name[:2] in NUMBERS]


@pytest.fixture
def lin(db: None) -> User:
    for person in sandbox_world.PEOPLE[1:]:
        a_payer("1.00", display_name=person.name, phone=person.phone, handle=person.handle)
    return a_payer("1000.00", pin=sandbox_world.PIN, handle="lin")


@pytest.mark.parametrize("example", MONEY, ids=lambda example: example.name)
def test_each_example_about_money_works_as_it_stands(lin: User, example: graphiql.Example) -> None:
    variables = json.loads(example.variables.replace("{{uuid}}", str(uuid4())) or "{}")
    for answer in data_of(lin, example.query, **variables).values():
        assert answer.get("__typename", "Success").endswith("Success")
        assert "code" not in answer


def test_there_are_examples_about_money() -> None:
    assert len(MONEY) >= 9
