"""F05, F06: which day an order belongs to, to the microsecond, over weekends, holidays and make-up days."""

from datetime import date, datetime, time

import pytest

from funds.trading import order_days
from superapp.models import CalendarDay
from tests.funds.scenes import SHANGHAI

pytestmark = pytest.mark.django_db

CUT_OFF = time(15, 0)


def _days(placed: str) -> tuple[date, date]:
    days = order_days(placed_at=datetime.fromisoformat(placed).replace(tzinfo=SHANGHAI), zone=SHANGHAI, cut_off=CUT_OFF)
    return days.trade_day, days.effective_day


@pytest.mark.parametrize(
    ("placed", "trade_day", "effective_day"),
    [
        ("2013-07-09T14:59:59.999", "2013-07-09", "2013-07-10"),
        ("2013-07-09T14:59:59.999999", "2013-07-09", "2013-07-10"),
        ("2013-07-09T15:00:00.000000", "2013-07-10", "2013-07-11"),
        ("2013-07-09T15:00:00.000001", "2013-07-10", "2013-07-11"),
        ("2013-07-09T00:00:00", "2013-07-09", "2013-07-10"),
        ("2013-07-09T23:59:59.999999", "2013-07-10", "2013-07-11"),
    ],
)
def test_the_cut_off_is_the_first_instant_of_the_next_trading_day(
    placed: str, trade_day: str, effective_day: str
) -> None:
    assert _days(placed) == (date.fromisoformat(trade_day), date.fromisoformat(effective_day))


@pytest.mark.parametrize(
    ("bought_from", "bought_until", "earns_from"),
    [
        ("2013-07-08T15:00", "2013-07-09T14:59:59.999999", "2013-07-10"),  # Mon 15:00 to Tue 15:00: Wednesday
        ("2013-07-09T15:00", "2013-07-10T14:59:59.999999", "2013-07-11"),
        ("2013-07-10T15:00", "2013-07-11T14:59:59.999999", "2013-07-12"),  # Friday, with Saturday and Sunday
        ("2013-07-11T15:00", "2013-07-12T14:59:59.999999", "2013-07-15"),  # Thu to Fri: Monday
        ("2013-07-12T15:00", "2013-07-15T14:59:59.999999", "2013-07-16"),  # Fri to Mon: Tuesday
        ("2013-07-13T09:00", "2013-07-14T23:59:59.999999", "2013-07-16"),  # all weekend
    ],
)
def test_a_week_of_purchases(bought_from: str, bought_until: str, earns_from: str) -> None:
    assert _days(bought_from)[1] == _days(bought_until)[1] == date.fromisoformat(earns_from)


def test_holidays_do_not_trade() -> None:
    assert _days("2013-09-30T10:00") == (date(2013, 9, 30), date(2013, 10, 8))
    assert _days("2013-10-02T10:00") == (date(2013, 10, 8), date(2013, 10, 9))


def test_a_make_up_working_sunday_does_not_trade() -> None:
    assert _days("2013-09-29T10:00") == (date(2013, 9, 30), date(2013, 10, 8))


def test_an_operators_exception_closes_a_day() -> None:
    CalendarDay.objects.create(calendar="exchange", day=date(2013, 7, 10), is_open=False, reason="typhoon")

    assert _days("2013-07-09T10:00") == (date(2013, 7, 9), date(2013, 7, 11))
