"""No list of the API asks the database a question per row: more of everything, as many statements."""

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import uuid4

from django.db import connection
from django.test.utils import CaptureQueriesContext

from funds import catalogue
from superapp.graphql.relay import node_id
from superapp.models import User
from tests.api.queries import count_queries
from tests.asking import asked_with, data_of
from tests.factories import PIN, a_payer, a_person, a_top_up, a_transfer, session_token_for
from tests.funds.scenes import a_fund, buy
from wallet import small_payments, wallets

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


def test_lists_cost_as_many_queries_however_long_they_are(db: None) -> None:
    person = a_payer("100.00")
    costs: list[dict[str, int]] = []
    for number in range(1, 3):
        more_of_everything(person, number)
        costs.append({name: cost(partial(data_of, person, query)) for name, query in LISTS.items()})
        ids = list(dict.fromkeys(every_id(data_of(person, IDS))))
        assert None not in data_of(person, NODES, ids=ids)["nodes"]
        costs[-1]["nodes"] = cost(partial(data_of, person, NODES, ids=ids))
    assert costs[0] == costs[1]


SEND = """mutation S($input: SendMoneyInput!) { sendMoney(input: $input) { __typename
  ... on UserError { code } ... on SendMoneySuccess { transfer { id recipient { displayName } } fee { amount } } } }"""
BALANCE = "{ viewer { wallets { balance { amount } available { amount } held { amount } } } }"


def round_trips(ask: Callable[[], object]) -> list[str]:
    """How each statement begins that the server is sent, transactions included; after one run for what is remembered."""
    ask()
    with CaptureQueriesContext(connection) as queries:
        ask()
    return [query["sql"].split()[0] for query in queries]


def sending(sender: User, recipient: User, **other: object) -> Callable[[], object]:
    token = session_token_for(sender)

    def send() -> object:
        asked = {
            "to": {"id": node_id("Person", recipient.pk)},
            "amount": {"amount": "1.00", "currency": "CNY"},
            "idempotencyKey": str(uuid4()),
        }
        answer = asked_with(token, SEND, input=asked | other)
        assert answer["data"]["sendMoney"]["__typename"] == "SendMoneySuccess", answer
        return answer

    return send


def test_sending_money_makes_eight_round_trips_without_a_pin(committed_db: object) -> None:
    ann, ben = a_payer("100.00"), a_person()
    small_payments.choose(user_id=ann.pk, amount=Decimal("20.00"), currency="CNY", pin=PIN)
    person, parties = ["SELECT"], ["SELECT"]
    key, small_payment, postings, transfer = ["INSERT"], ["UPDATE"], ["WITH"], ["INSERT"]
    assert round_trips(sending(ann, ben)) == [
        *person, *parties, "BEGIN", *key, *small_payment, *postings, *transfer, "COMMIT",
    ]  # fmt: skip


def test_a_pin_adds_a_look_for_the_key_and_six_round_trips_of_its_own(committed_db: object) -> None:
    ann, ben = a_payer("100.00"), a_person()
    look, line, counted, cleared, left = ["SELECT"], ["SELECT"], ["BEGIN", "UPDATE", "COMMIT"], ["UPDATE"], ["SELECT"]
    assert round_trips(sending(ann, ben, pin=PIN)) == [
        "SELECT", *look, *line, *counted, *cleared, *left, "SELECT", "BEGIN", "INSERT", "WITH", "INSERT", "COMMIT",
    ]  # fmt: skip


def test_a_balance_is_two_round_trips(committed_db: object) -> None:
    token = session_token_for(a_payer("100.00"))
    assert round_trips(lambda: asked_with(token, BALANCE)) == ["SELECT", "SELECT"]
