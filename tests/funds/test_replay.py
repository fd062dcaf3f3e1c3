"""Weeks of a sandbox lived through by `travel`: the same tasks and schedules that beat runs, day by day."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from funds import catalogue, order_sets
from funds.models import Fund, FundOrder, ManagerSettlement
from funds.orders import PlacedOrder
from superapp import clock, policies, travel
from superapp.models import Installation, User
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
    catalogue.accept_terms(person_id=saver.id, fund_code=fund.code, version=1)
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


@pytest.mark.parametrize(
    ("opens", "zone", "settled_at"),
    [
        ("10:00", "Asia/Shanghai", "2013-07-04T10:00"),
        ("11:00", "Asia/Shanghai", "2013-07-04T11:00"),
        ("23:30", "Asia/Shanghai", "2013-07-04T23:30"),
        ("10:00", "UTC", "2013-07-04T18:00"),
    ],
)
def test_a_journey_settles_with_the_manager_when_the_policy_says(
    committed_db: TestDatabase, opens: str, zone: str, settled_at: str
) -> None:
    """The first opening after the shares have left (00:00 of Thursday, in the fund's zone), as of Shanghai's clock."""
    fund = scenes.a_fund("2013-07-03", zone=zone)
    saver = scenes.a_saver(fund, "100.00")
    _begin_at("2013-07-02", "10:00")
    policies.change(policy="funds.manager_settlement_time", value=opens, scope=fund.code)
    scenes.buy(saver, fund, "100.00")
    travel.travel(to=scenes.at("2013-07-03", "14:00"))
    sold = scenes.sell(saver, fund, "40.00")

    travel.travel(to=scenes.at("2013-07-05", "00:00"))

    order = scenes.order_of(sold)
    assert (order.state, scenes.cash_of(saver)) == (FundOrder.State.PAID, Decimal("40.00"))
    assert scenes.system_balance(FUND_CASH, fund) == scenes.system_balance(REDEMPTIONS, fund) == 0
    settlement = ManagerSettlement.objects.get(settled_orders=order.pk)
    late = settlement.settled_at - datetime.fromisoformat(settled_at).replace(tzinfo=scenes.SHANGHAI)
    assert timedelta() <= late < timedelta(minutes=5)
    scenes.nothing_is_wrong()


def test_a_journey_stops_for_a_fund_that_is_founded_on_the_way(committed_db: TestDatabase) -> None:
    _begin_at("2013-07-02", "10:00")
    founded: list[tuple[Fund, User]] = []

    def live(day: date, _journey: travel.Journey) -> None:
        if day == date(2013, 7, 2):
            fund = catalogue.found_fund(
                code="NEW", name="New", currency="CNY", first_day=date(2013, 7, 4), terms="Few."
            )
            saver = factories.a_payer("100.00", pin=None)
            catalogue.accept_terms(person_id=saver.id, fund_code=fund.code, version=1)
            scenes.buy(saver, fund, "100.00")
            founded.append((fund, saver))
        elif day == date(2013, 7, 5):
            fund, saver = founded[0]
            scenes.sell(saver, fund, "40.00")

    travel.travel(to=scenes.at("2013-07-10", "00:00"), tell=live)

    orders = FundOrder.objects.order_by("placed_at").values_list("side", "state")
    assert list(orders) == [("subscribe", "confirmed"), ("redeem", "paid")]
    assert scenes.cash_of(founded[0][1]) == Decimal("40.00")


def test_a_journey_stops_where_a_policy_that_changed_on_the_way_says(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund("2013-07-03")
    saver = scenes.a_saver(fund, "100.00")
    _begin_at("2013-07-02", "10:00")
    scenes.buy(saver, fund, "100.00")
    sold: list[PlacedOrder] = []

    def live(day: date, _journey: travel.Journey) -> None:
        if day == date(2013, 7, 3):
            policies.change(policy="funds.manager_settlement_time", value="18:00", scope=fund.code)
            sold.append(scenes.sell(saver, fund, "40.00"))

    travel.travel(to=scenes.at("2013-07-06", "00:00"), tell=live)

    order = scenes.order_of(sold[0])
    assert (order.state, order.effective_day) == (FundOrder.State.PAID, date(2013, 7, 4))
    settled = ManagerSettlement.objects.get(settled_orders=order.pk).settled_at
    assert timedelta() <= settled - scenes.at("2013-07-04", "18:00") < timedelta(minutes=5)


def test_settling_opens_by_the_ruling_of_each_day_and_by_both_on_a_day_that_changes_it(
    committed_db: TestDatabase,
) -> None:
    scenes.a_fund("2013-07-03")
    with scenes.on("2013-07-01"):
        policies.change(
            policy="funds.manager_settlement_time", value="14:00", effective_from=scenes.at("2013-07-03", "12:00")
        )
        after, until = scenes.at("2013-07-02", "10:00"), scenes.at("2013-07-04", "14:00")

        assert order_sets.settlement_openings(after, until) == {
            scenes.at("2013-07-03", "10:00"),
            scenes.at("2013-07-03", "14:00"),
            scenes.at("2013-07-04", "14:00"),
        }
