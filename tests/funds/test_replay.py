"""Weeks of a sandbox lived through by `travel`: the same tasks and schedules that beat runs, day by day."""

from datetime import timedelta
from decimal import Decimal

from django.utils import timezone

from funds.models import Fund, FundOrder
from superapp import clock, travel
from superapp.models import Installation
from tests import factories
from tests.databases import TestDatabase
from tests.funds import scenes
from tests.funds.test_daily_income import REAL
from wallet.flows import FUND_CASH, FUND_ORDERS, REDEMPTIONS


def _begin_at(day: str, clock_time: str) -> None:
    """A sandbox whose business clock starts in the past."""
    Installation.objects.update(clock_offset=scenes.at(day, clock_time) - timezone.now())
    clock.forget()


def test_two_weeks_pass_by_themselves(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund("2013-07-03", leftover=Fund.Leftover.LEAVE_IN_FUND)
    _begin_at("2013-07-02", "10:00")
    saver = factories.a_payer("10500.00", pin=None)
    from funds.catalogue import accept_terms

    accept_terms(person_id=saver.id, fund_code=fund.code, version=1)
    scenes.buy(saver, fund, "10000.00")
    scenes.publish(fund, REAL)

    journey = travel.travel(to=scenes.at("2013-07-13", "12:00"))

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
    assert journey.stopped_runs == []
    scenes.sell(saver, fund, None)  # a Saturday: belongs to Monday, leaves on Tuesday
    scenes.publish(fund, {"2013-07-13": "1.2396", "2013-07-14": "1.2394", "2013-07-15": "1.1985"})

    travel.travel(to=scenes.at("2013-07-17", "12:00"))

    assert scenes.shares_of(saver, fund) == 0
    assert scenes.cash_of(saver) == Decimal("10513.39") + sum(map(Decimal, ("1.24", "1.24", "1.20")))
    assert set(FundOrder.objects.values_list("state", flat=True)) == {"confirmed", "paid"}
    for kind in (FUND_CASH, FUND_ORDERS, REDEMPTIONS):
        assert scenes.system_balance(kind, fund) == 0
    assert clock.now() - scenes.at("2013-07-17", "12:00") < timedelta(minutes=5)
    scenes.nothing_is_wrong()
