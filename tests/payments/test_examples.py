"""The ready-made operations about money work as they stand, for the first person of a seeded sandbox."""

import json
from uuid import uuid4

import pytest

from config import sandbox_world
from superapp.graphql import graphiql
from superapp.models import User
from tests.asking import data_of
from tests.factories import a_payer

MONEY = [example for example in graphiql.examples() if "03" <= example.name[:2] < "10"]


@pytest.fixture
def lin(db: None) -> User:
    mei = sandbox_world.PEOPLE[-1]
    a_payer("1.00", display_name=mei.name, phone=mei.phone, handle=mei.handle)
    return a_payer("1000.00", pin=sandbox_world.PIN, handle="lin")


@pytest.mark.parametrize("example", MONEY, ids=lambda example: example.name)
def test_each_example_about_money_works_as_it_stands(lin: User, example: graphiql.Example) -> None:
    variables = json.loads(example.variables.replace("{{uuid}}", str(uuid4())) or "{}")
    for answer in data_of(lin, example.query, **variables).values():
        assert answer.get("__typename", "Success").endswith("Success")
        assert "code" not in answer


def test_there_are_examples_about_money() -> None:
    assert len(MONEY) >= 9
