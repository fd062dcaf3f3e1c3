"""No list of the API asks the database a question per row: more of everything, as many statements."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from funds import catalogue
from superapp.models import User
from tests.api.queries import count_queries
from tests.asking import data_of
from tests.factories import a_payer, a_top_up, a_transfer
from tests.funds.scenes import a_fund, buy
from wallet import wallets

pytestmark = pytest.mark.django_db

LISTS = {
    "wallets": "{ viewer { wallets { balance { amount } pending { amount } account { id } } } }",
    "accounts": "{ viewer { accounts { id asset balance held pending } } }",
    "activity": "{ viewer { activity { edges { node { kind amount note subjectId counterparty { displayName } } } } } }",
    "topUps": "{ viewer { topUps { edges { node { id state amount { amount } } } } } }",
    "threads": "{ viewer { threads { edges { node { other { id } transfers { edges { node { note state } } } } } } } }",
    "holdings": "{ viewer { holdings { shares { amount } pending { amount } fund { code terms { accepted } } } } }",
    "fundOrders": "{ viewer { fundOrders { edges { node { fundName state cancellableUntil amount { amount } } } } } }",
    "funds": '{ funds { code asOf terms { accepted } yields(from: "2013-07-01", to: "2013-07-09") { day } } }',
}
IDS = """{ viewer { id accounts { id } topUps { edges { node { id } } } fundOrders { edges { node { id } } }
  threads { edges { node { id other { id } transfers { edges { node { id } } } } } } holdings { fund { id } } } }"""
NODES = """query Nodes($ids: [ID!]!) { nodes(ids: $ids) { __typename id ... on Transfer { note sender { id } }
  ... on FundOrder { fundName cancellableUntil } ... on Account { balance pending } ... on Thread { other { displayName } }
  ... on Fund { terms { accepted } yields(from: "2013-07-01", to: "2013-07-09") { day } } } }"""


def more_of_everything(person: User, number: int) -> None:
    wallets.open_wallet(owner_id=person.pk, currency=("CNY", "USD", "EUR", "HKD")[number])
    a_top_up(person, "10.00")
    for _ in range(2):
        a_transfer(person, a_payer("0"), "1.00", note="noodles")
    fund = a_fund(code=f"FUND{number}")
    catalogue.accept_terms(person_id=person.pk, fund_code=fund.code, version=1)
    buy(person, fund, "1.00")
    buy(person, fund, "1.00")


def every_id(found: Any) -> list[str]:
    if isinstance(found, dict):
        own = [found["id"]] if "id" in found else []
        return own + [key for part in found.values() for key in every_id(part)]
    return [key for part in found for key in every_id(part)] if isinstance(found, list) else []


def cost(ask: Callable[[], object]) -> int:
    ask()  # what is remembered per process is read once
    with count_queries() as queries:
        ask()
    return len(queries)


def test_lists_cost_as_many_queries_however_long_they_are() -> None:
    person = a_payer("100.00")
    costs: list[dict[str, int]] = []
    for number in range(1, 3):
        more_of_everything(person, number)
        costs.append({name: cost(partial(data_of, person, query)) for name, query in LISTS.items()})
        ids = list(dict.fromkeys(every_id(data_of(person, IDS))))
        assert None not in data_of(person, NODES, ids=ids)["nodes"]
        costs[-1]["nodes"] = cost(partial(data_of, person, NODES, ids=ids))
    assert costs[0] == costs[1]
