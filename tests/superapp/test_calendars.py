"""Trading days and bank days, with 2013's Mid-Autumn and National Day as the notices had them."""

from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from superapp import clock
from superapp.calendars import is_bank_day, is_trading_day, next_bank_day, next_trading_day
from superapp.models import CalendarDay

pytestmark = pytest.mark.django_db

MID_AUTUMN_2013 = [date(2013, 9, day) for day in (19, 20, 21)]
MAKE_UP_DAYS_2013 = [date(2013, 9, 22), date(2013, 9, 29), date(2013, 10, 12)]
NATIONAL_DAY_2013 = [date(2013, 10, day) for day in range(1, 8)]


@pytest.fixture(autouse=True)
def _a_unit_of_work() -> None:
    clock.forget()


def test_holidays_are_closed_everywhere() -> None:
    for day in MID_AUTUMN_2013 + NATIONAL_DAY_2013:
        assert not is_trading_day(day), day
        assert not is_bank_day(day), day


def test_banks_work_on_make_up_weekends_and_exchanges_never_trade_on_them() -> None:
    for day in MAKE_UP_DAYS_2013:
        assert day.weekday() >= 5
        assert is_bank_day(day), day
        assert not is_trading_day(day), day


def test_the_next_day_is_strictly_after() -> None:
    assert next_trading_day(date(2013, 9, 17)) == date(2013, 9, 18)
    assert next_trading_day(date(2013, 9, 18)) == date(2013, 9, 23)
    assert next_bank_day(date(2013, 9, 18)) == date(2013, 9, 22)
    assert next_trading_day(date(2013, 9, 30)) == date(2013, 10, 8)
    assert next_bank_day(date(2013, 10, 11)) == date(2013, 10, 12)


def test_ordinary_weeks_run_from_monday_to_friday() -> None:
    assert [is_trading_day(date(2013, 7, day)) for day in range(1, 8)] == [True] * 5 + [False] * 2
    assert [is_bank_day(date(2013, 7, day)) for day in range(1, 8)] == [True] * 5 + [False] * 2


def test_an_operators_exception_wins_in_its_own_calendar_only() -> None:
    CalendarDay.objects.create(calendar="exchange", day=date(2013, 7, 3), is_open=False, reason="Typhoon")
    CalendarDay.objects.create(calendar="bank", day=date(2013, 7, 6), is_open=True, reason="Year-end work")
    clock.forget()
    assert not is_trading_day(date(2013, 7, 3))
    assert is_bank_day(date(2013, 7, 3))
    assert next_trading_day(date(2013, 7, 2)) == date(2013, 7, 4)
    assert is_bank_day(date(2013, 7, 6))
    assert not is_trading_day(date(2013, 7, 6))


def test_a_year_that_no_notice_covers_counts_weekdays_unless_an_operator_says_otherwise() -> None:
    holiday = date(2199, 10, 1)
    assert holiday.weekday() < 5
    assert is_trading_day(holiday)
    CalendarDay.objects.create(calendar="exchange", day=holiday, is_open=False, reason="National Day")
    clock.forget()
    assert not is_trading_day(holiday)
    assert not is_bank_day(date(2199, 10, 5))


def test_a_calendar_closed_for_ever_is_named_and_not_searched_for_ever() -> None:
    CalendarDay.objects.bulk_create(
        CalendarDay(calendar="bank", day=date(2013, 1, 1) + timedelta(days=ahead), is_open=False, reason="wrong")
        for ahead in range(100)
    )
    clock.forget()
    with pytest.raises(ValueError, match="mend the calendar"):
        next_bank_day(date(2013, 1, 1))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(day=st.dates(min_value=date(2004, 1, 1), max_value=date(2030, 12, 31)))
def test_the_next_open_day_is_open_and_all_days_between_are_closed(day: date) -> None:
    for is_open, following in ((is_trading_day, next_trading_day), (is_bank_day, next_bank_day)):
        found = following(day)
        assert found > day
        assert is_open(found)
        between = [day + timedelta(days=ahead) for ahead in range(1, (found - day).days)]
        assert not any(is_open(closed) for closed in between)
    if is_trading_day(day):
        assert day.weekday() < 5
        assert is_bank_day(day)
