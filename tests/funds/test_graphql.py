"""Funds over the API: what a front end asks, what it is answered, what it never sees of others."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from funds.models import FundOrder
from superapp.models import User
from tests import factories
from tests.asking import ask, data_of
from tests.databases import TestDatabase
from tests.funds import scenes

SUBSCRIBE = """
mutation ($input: SubscribeFundInput!) {
  subscribeFund(input: $input) {
    __typename
    ... on SubscribeFundSuccess {
      order { id state side amount { amount currency } cancellableUntil firstIncomeDay }
      amount { amount } fee { amount } tradeDay firstIncomeDay
    }
    ... on UserError { code message path }
    ... on BelowMinimum { minimum { amount currency } }
    ... on TermsNotAccepted { version }
    ... on InsufficientFunds { available }
  }
}
"""

REDEEM = """
mutation ($input: RedeemFundInput!) {
  redeemFund(input: $input) {
    __typename
    ... on RedeemFundSuccess { order { id redeemsAll amount { amount } } amount { amount } tradeDay leaveDay lastIncomeDay }
    ... on UserError { code message path }
  }
}
"""

CANCEL = """
mutation ($input: CancelFundOrderInput!) {
  cancelFundOrder(input: $input) {
    __typename
    ... on CancelFundOrderSuccess { order { state } }
    ... on UserError { code }
  }
}
"""

VIEWER = """
query ($from: Date!, $to: Date!) {
  viewer {
    holdings {
      fund { code sevenDayYield }
      shares { amount } available { amount } held { amount } pending { amount } value { amount currency }
      yesterdayIncome { amount } totalIncome { amount }
    }
    income(fund: "YEB", from: $from, to: $to) { day amount { amount } }
    fundOrders(first: 5) { edges { node { side state amount { amount } } } }
  }
}
"""


def _subscribe(person: User | None, amount: str = "100.00", **more: Any) -> Any:
    wanted = {
        "fund": "YEB",
        "amount": {"amount": amount, "currency": "CNY"},
        "idempotencyKey": f"key {amount}",
        **more,
    }
    return data_of(person, SUBSCRIBE, input=wanted)["subscribeFund"]


def _redeem(person: User, **wanted: Any) -> Any:
    return data_of(person, REDEEM, input={"fund": "YEB", "idempotencyKey": "redeem", **wanted})["redeemFund"]


def test_the_catalogue_shows_figures_with_their_day(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund("2013-07-02")
    scenes.a_fund(code="OTHER")
    with scenes.on("2013-07-03", "09:00"):
        scenes.publish(fund, {"2013-07-01": "1.5787", "2013-07-02": "1.5461", "2013-07-03": "1.4670"})
        shown = data_of(
            None,
            """{ funds(sort: INCOME_PER_10K) {
                code currency state canSubscribe canRedeem minimum { amount } leftoverPolicy
                incomePer10k sevenDayYield asOf stale terms { version accepted }
                yields(from: "2013-07-01", to: "2013-07-31") { day incomePer10k }
            } }""",
        )["funds"]
    assert shown[0] == {
        "code": "YEB",
        "currency": "CNY",
        "state": "OPEN",
        "canSubscribe": True,
        "canRedeem": True,
        "minimum": {"amount": "0.01"},
        "leftoverPolicy": "HAND_OUT",
        "incomePer10k": "1.5461",
        "sevenDayYield": None,
        "asOf": "2013-07-02",
        "stale": False,
        "terms": {"version": 1, "accepted": False},
        "yields": [
            {"day": "2013-07-01", "incomePer10k": "1.5787"},
            {"day": "2013-07-02", "incomePer10k": "1.5461"},
        ],
    }
    assert (shown[1]["code"], shown[1]["incomePer10k"], shown[1]["stale"]) == ("OTHER", None, True)


def test_an_unknown_fund_is_null_and_a_range_has_bounds(committed_db: TestDatabase) -> None:
    scenes.a_fund()
    assert data_of(None, '{ fund(code: "NONE") { code } }') == {"fund": None}
    answer = ask(None, '{ fund(code: "YEB") { yields(from: "2013-01-01", to: "2015-01-01") { day } } }')
    assert answer["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


def test_from_terms_to_holdings_and_income(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund("2013-07-02")
    with scenes.on("2013-07-01", "10:00"):
        person = factories.a_payer("20000.00", pin=None)
        assert _subscribe(person)["code"] == "TERMS_NOT_ACCEPTED"
        accepted = data_of(
            person,
            """mutation { acceptFundTerms(input: {fund: "YEB", version: 1}) {
                ... on AcceptFundTermsSuccess { terms { version accepted } } } }""",
        )
        assert accepted == {"acceptFundTerms": {"terms": {"version": 1, "accepted": True}}}
        tried = _subscribe(person, "10000.00", dryRun=True)
        placed = _subscribe(person, "10000.00")
        assert tried["order"] is None
        assert {**placed, "order": None} == tried
        assert (placed["tradeDay"], placed["firstIncomeDay"]) == ("2013-07-01", "2013-07-02")
        assert placed["order"]["cancellableUntil"] == "2013-07-01T15:00:00+08:00"
        scenes.publish(fund, {"2013-07-02": "1.5461"})
    scenes.sweep_each_day("2013-07-02", "2013-07-03")
    with scenes.on("2013-07-03", "11:00"):
        shown = data_of(person, VIEWER, **{"from": "2013-07-01", "to": "2013-07-05"})["viewer"]

    assert shown["holdings"] == [
        {
            "fund": {"code": "YEB", "sevenDayYield": None},
            "shares": {"amount": "10001.54"},
            "available": {"amount": "10001.54"},
            "held": {"amount": "0.00"},
            "pending": {"amount": "0.00"},
            "value": {"amount": "10001.54", "currency": "CNY"},
            "yesterdayIncome": {"amount": "1.54"},
            "totalIncome": {"amount": "1.54"},
        }
    ]
    assert shown["income"] == [{"day": "2013-07-02", "amount": {"amount": "1.54"}}]
    orders = [edge["node"] for edge in shown["fundOrders"]["edges"]]
    assert orders == [{"side": "SUBSCRIBE", "state": "CONFIRMED", "amount": {"amount": "10000.00"}}]


def test_refusals_are_typed(committed_db: TestDatabase) -> None:
    from decimal import Decimal

    fund = scenes.a_fund(minimum=Decimal("1.00"))
    person = scenes.a_saver(fund, "5.00")
    with scenes.on("2013-07-01", "10:00"):
        below = _subscribe(person, "0.50")
        assert (below["code"], below["minimum"]["amount"]) == ("BELOW_MINIMUM", "1.00")
        assert _subscribe(person, "1.005")["code"] == "INVALID_AMOUNT"
        short = _subscribe(person, "6.00")
        assert (short["code"], short["available"]) == ("INSUFFICIENT_FUNDS", "5.00")
        assert _subscribe(person, "1.00", fund="NONE")["code"] == "NOT_FOUND"
        assert _redeem(person, all=True)["code"] == "NOTHING_TO_REDEEM"
        assert _redeem(person)["code"] == "INVALID_AMOUNT"
        both = {"amount": "1.00", "currency": "CNY"}
        assert _redeem(person, amount=both, all=True)["code"] == "INVALID_AMOUNT"
    assert not FundOrder.objects.exists()


def test_redeeming_all_and_taking_it_back(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund("2013-07-02")
    person = scenes.a_saver(fund, "100.00")
    with scenes.on("2013-07-01", "10:00"):
        scenes.buy(person, fund, "100.00")
    with scenes.on("2013-07-05", "10:00"):
        scenes.sweep()
        placed = _redeem(person, all=True)
        assert (placed["amount"], placed["order"]["redeemsAll"]) == (None, True)
        assert (placed["leaveDay"], placed["lastIncomeDay"]) == ("2013-07-08", "2013-07-07")
        assert _redeem(person, all=True) == placed  # the same key
        wanted = {"orderId": placed["order"]["id"], "idempotencyKey": "cancel"}
        assert data_of(person, CANCEL, input=wanted)["cancelFundOrder"]["order"]["state"] == "CANCELLED"


def test_another_persons_order_is_answered_as_if_absent(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund()
    owner, other = scenes.a_saver(fund, "100.00"), scenes.a_saver(fund, "100.00")
    with scenes.on("2013-07-01", "10:00"):
        order_id = _subscribe(owner)["order"]["id"]
        node = "query ($id: ID!) { node(id: $id) { ... on FundOrder { state } } }"
        assert data_of(owner, node, id=order_id) == {"node": {"state": "PLACED"}}
        assert data_of(other, node, id=order_id) == {"node": None}
        assert data_of(None, node, id=order_id) == {"node": None}
        wanted = {"orderId": order_id, "idempotencyKey": "theirs"}
        assert data_of(other, CANCEL, input=wanted)["cancelFundOrder"] == {
            "__typename": "NotFound",
            "code": "NOT_FOUND",
        }
        answer = ask(
            None, SUBSCRIBE, input={"fund": "YEB", "amount": {"amount": "1", "currency": "CNY"}, "idempotencyKey": "k"}
        )
        assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert FundOrder.objects.count() == 1


@pytest.mark.parametrize("field", ["funds", "holdings"])
def test_a_list_of_funds_costs_the_same_queries_however_long(committed_db: TestDatabase, field: str) -> None:
    fields = 'code asOf terms { accepted } yields(from: "2013-07-01", to: "2013-07-03") { day }'
    query = (
        f"{{ funds {{ {fields} }} }}" if field == "funds" else f"{{ viewer {{ holdings {{ fund {{ {fields} }} }} }} }}"
    )
    first = scenes.a_fund(code="FUND-0")
    person = scenes.a_saver(first, "100.00")
    counts = []
    for number in range(3):
        with scenes.on("2013-07-03", "10:00"):
            if number:
                from funds.catalogue import accept_terms

                accept_terms(person_id=person.id, fund_code=scenes.a_fund(code=f"FUND-{number}").code, version=1)
            from funds.models import Fund

            scenes.buy(person, Fund.objects.get(code=f"FUND-{number}"), "1.00")
            ask(person, query)
            with CaptureQueriesContext(connection) as queries:
                data_of(person, query)
            counts.append(len(queries))
    assert len(set(counts)) == 1, counts
