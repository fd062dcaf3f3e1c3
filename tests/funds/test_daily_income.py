"""F07, F08: from the purchase to the income of each day, on real figures."""

from decimal import Decimal

from funds.models import Fund
from tests.databases import TestDatabase
from tests.funds import scenes
from wallet.flows import FUND_CASH

REAL = {
    "2013-07-03": "1.4670",
    "2013-07-04": "1.4223",
    "2013-07-05": "1.3845",
    "2013-07-06": "1.3674",
    "2013-07-07": "1.3671",
    "2013-07-08": "1.3129",
    "2013-07-09": "1.3096",
    "2013-07-10": "1.2792",
    "2013-07-11": "1.2616",
    "2013-07-12": "1.2487",
}


def test_ten_thousand_earn_the_ten_figures_of_july_2013(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund("2013-07-03", leftover=Fund.Leftover.LEAVE_IN_FUND)
    saver = scenes.a_saver(fund, "10000.00")
    with scenes.on("2013-07-02", "10:00"):
        placed = scenes.buy(saver, fund, "10000.00")
        scenes.publish(fund, REAL)
    assert placed.first_income_day is not None
    assert placed.first_income_day.isoformat() == "2013-07-03"

    scenes.sweep_each_day("2013-07-03", "2013-07-13")

    assert scenes.incomes(saver, fund) == [
        "1.46",
        "1.42",
        "1.38",
        "1.36",
        "1.36",
        "1.31",
        "1.31",
        "1.28",
        "1.26",
        "1.25",
    ]
    assert scenes.shares_of(saver, fund) == Decimal("10013.39")
    assert scenes.system_balance(FUND_CASH, fund) == 0
    scenes.nothing_is_wrong()
