"""Input that means harm: answered by a code, without effect."""

import pytest

from funds.models import FundOrder
from tests.asking import ask
from tests.databases import TestDatabase
from tests.funds import scenes
from tests.funds.test_graphql import SUBSCRIBE

NOT_THERE = ["", "yeb", "ＹＥＢ", "Y" * 5000, "YEB' OR '1'='1"]


@pytest.mark.parametrize("code", NOT_THERE)
def test_a_code_that_no_fund_has_is_answered_as_absent(committed_db: TestDatabase, code: str) -> None:
    person = scenes.a_saver(scenes.a_fund(), "10.00")

    assert ask(person, "query ($code: String!) { fund(code: $code) { code } }", code=code) == {"data": {"fund": None}}
    earned = ask(
        person,
        """query ($code: String!) { viewer {
            income(fund: $code, from: "2013-07-01", to: "2013-07-02") { day }
            incomeExplained(fund: $code, day: "2013-07-01") { why } } }""",
        code=code,
    )
    assert earned == {"data": {"viewer": {"income": [], "incomeExplained": None}}}
    wanted = {"fund": code, "amount": {"amount": "1.00", "currency": "CNY"}, "idempotencyKey": "k"}
    assert ask(person, SUBSCRIBE, input=wanted)["data"]["subscribeFund"]["code"] == "NOT_FOUND"
    assert not FundOrder.objects.exists()


def test_the_first_and_the_last_day_of_all_are_days_like_others(committed_db: TestDatabase) -> None:
    person = scenes.a_saver(scenes.a_fund(), "10.00")
    for first, last in (("0001-01-01", "0001-02-01"), ("9999-12-01", "9999-12-31")):
        answer = ask(
            person,
            """query ($from: Date!, $to: Date!) {
                fund(code: "YEB") { yields(from: $from, to: $to) { day } }
                viewer { income(fund: "YEB", from: $from, to: $to) { day }
                         incomeExplained(fund: "YEB", day: $to) { why } } }""",
            **{"from": first, "to": last},
        )
        assert answer == {"data": {"fund": {"yields": []}, "viewer": {"income": [], "incomeExplained": None}}}
