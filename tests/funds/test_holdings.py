"""F40, W15: what a person has in a fund adds up at each step."""

from datetime import date
from decimal import Decimal

from django.db import connection
from django.test.utils import CaptureQueriesContext

from funds import holdings
from funds.models import Fund
from tests.databases import TestDatabase
from tests.funds import scenes
from wallet.activity import older


def test_shares_pending_held_and_income_add_up_at_each_step(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund("2013-07-02", leftover=Fund.Leftover.LEAVE_IN_FUND)
    saver = scenes.a_saver(fund, "10000.00")
    with scenes.on("2013-07-01", "10:00"):
        scenes.buy(saver, fund, "9000.00")
        (holding,) = holdings.holdings_of(saver.id)
        assert (holding.shares, holding.pending, holding.total_income) == (0, Decimal("9000.00"), 0)
    with scenes.on("2013-07-02", "10:00"):
        scenes.sweep()
        scenes.buy(saver, fund, "1000.00")
        scenes.sell(saver, fund, "500.00")
        (holding,) = holdings.holdings_of(saver.id)
        assert (holding.shares, holding.available, holding.held, holding.pending) == (
            Decimal("9000.00"),
            Decimal("8500.00"),
            Decimal("500.00"),
            Decimal("1000.00"),
        )
        scenes.publish(fund, {"2013-07-02": "1.5461", "2013-07-03": "1.4670"})
    scenes.sweep_each_day("2013-07-03", "2013-07-04")
    with scenes.on("2013-07-04", "11:00"):
        (holding,) = holdings.holdings_of(saver.id)
        days = holdings.income_of(person_id=saver.id, fund=fund, low=date(2013, 7, 1), high=date(2013, 7, 9))

    assert [(day.day, day.amount) for day in days] == [
        (date(2013, 7, 2), Decimal("1.39")),
        (date(2013, 7, 3), Decimal("1.39")),  # 9501.39 shares at 1.4670
    ]
    assert (holding.yesterday_income, holding.total_income) == (Decimal("1.39"), Decimal("2.78"))
    assert holding.shares == holding.available == Decimal("9502.78")
    assert holding.held == holding.pending == 0
    assert scenes.cash_of(saver) == Decimal("500.00")


def test_holdings_cost_the_same_queries_for_one_fund_and_for_many(committed_db: TestDatabase) -> None:
    funds = [scenes.a_fund(code=f"FUND-{number}") for number in range(4)]
    saver = scenes.a_saver(funds[0], "100.00")
    counts = []
    for fund in funds:
        with scenes.on("2013-07-01", "10:00"):
            if fund != funds[0]:
                from funds import catalogue

                catalogue.accept_terms(person_id=saver.id, fund_code=fund.code, version=1)
            scenes.buy(saver, fund, "1.00")
            holdings.holdings_of(saver.id)
            with CaptureQueriesContext(connection) as queries:
                holdings.holdings_of(saver.id)
        counts.append(len(queries))
    assert len(set(counts)) == 1


def test_activity_tells_of_orders_and_income(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund("2013-07-02")
    saver = scenes.a_saver(fund, "10000.00")
    with scenes.on("2013-07-01", "10:00"):
        scenes.buy(saver, fund, "10000.00")
        scenes.publish(fund, {"2013-07-02": "1.5461"})
    scenes.sweep_each_day("2013-07-02", "2013-07-03")

    items = older(owner_id=saver.id, limit=10).items
    assert [(item.kind, item.story.subject_type) for item in items] == [
        ("fund_income", ""),
        ("subscription_confirmed", "FundOrder"),
        ("subscription_placed", "FundOrder"),
        ("top_up", "TopUp"),
    ]
