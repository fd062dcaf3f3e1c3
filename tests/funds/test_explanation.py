"""F12: an income explained down to the digit."""

from datetime import date
from decimal import Decimal

import pytest

from funds.explanation import explain
from funds.models import Fund
from superapp.errors import NotFound
from tests.asking import data_of
from tests.databases import TestDatabase
from tests.funds import scenes
from tests.owners_hand import the_owners_hand

ROWS = [
    # entitled, exact, cut, cut fraction, handed out
    ("3333.33", "0.48666618", "0.48", "0.00666618", "0.01"),
    ("3333.33", "0.48666618", "0.48", "0.00666618", "0"),
    ("3333.34", "0.48666764", "0.48", "0.00666764", "0.01"),
]


def test_the_fund_explains_every_digit_of_what_it_paid(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund("2013-07-03")
    savers = [scenes.a_saver(fund, "4000.00") for _ in range(3)]
    with scenes.on("2013-07-02", "10:00"):
        for saver, row in zip(savers, ROWS, strict=True):
            scenes.buy(saver, fund, row[0])
        scenes.publish(fund, {"2013-07-03": "1.46"})
    scenes.sweep_each_day("2013-07-03", "2013-07-04")

    day = date(2013, 7, 3)
    for saver, (entitled, exact, cut, fraction, handed_out) in zip(savers, ROWS, strict=True):
        told = explain(person_id=saver.id, fund_code=fund.code, day=day)
        assert (told.entitled, told.exact, told.cut) == (Decimal(entitled), Decimal(exact), Decimal(cut))
        assert told.fraction * scenes.CNY == Decimal(fraction)
        assert told.handed_out == Decimal(handed_out)
        assert [str(told.paid)] == scenes.incomes(saver, fund)
        assert "2 minor units were handed out" in told.why

    with scenes.on("2013-07-04", "12:00"):
        shown = data_of(
            savers[1],
            '{ viewer { incomeExplained(fund: "YEB", day: "2013-07-03") '
            "{ entitled { amount } incomePer10k exact cut { amount } handedOut { amount } paid { amount } why } } }",
        )["viewer"]["incomeExplained"]
    assert shown["exact"].rstrip("0") == "0.48666618"
    assert shown["why"].endswith("yours was not among them.")
    assert shown["handedOut"] == {"amount": "0.00"}


def test_a_day_is_explained_by_the_policy_that_ruled_its_run_not_by_the_funds_own_of_today(
    committed_db: TestDatabase,
) -> None:
    fund = scenes.a_fund("2013-07-03")
    saver = scenes.a_saver(fund, "4000.00")
    with scenes.on("2013-07-02", "10:00"):
        scenes.buy(saver, fund, "3333.33")
        scenes.publish(fund, {"2013-07-03": "1.46"})
    scenes.sweep_each_day("2013-07-03", "2013-07-04")
    with the_owners_hand():
        Fund.objects.filter(pk=fund.pk).update(leftover=Fund.Leftover.LEAVE_IN_FUND)

    told = explain(person_id=saver.id, fund_code=fund.code, day=date(2013, 7, 3))

    assert told.why == "The cuts of all holders left nothing over."


def test_a_day_not_paid_is_not_explained(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund("2013-07-03")
    saver = scenes.a_saver(fund, "4000.00")
    with pytest.raises(NotFound):
        explain(person_id=saver.id, fund_code=fund.code, day=date(2013, 7, 3))
    assert data_of(saver, '{ viewer { incomeExplained(fund: "YEB", day: "2013-07-03") { why } } }') == {
        "viewer": {"incomeExplained": None}
    }
