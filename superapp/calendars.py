"""Which days the business counts: trading days of the exchange and working days of the banks, in mainland China.

Official holidays and make-up days come from the State Council's notices, as the `chinesecalendar` package has them.
The exchanges trade Monday to Friday but for holidays, never on a make-up weekend; banks work on make-up weekends.
Years that no notice covers yet count weekdays. An operator's exception (`CalendarDay`) wins over all of it.
"""

from collections.abc import Callable, Mapping
from datetime import date, timedelta

import chinese_calendar

from superapp import unit_of_work
from superapp.models import CalendarDay

_LONGEST_CLOSURE_DAYS = 60
"""No calendar is closed for so long: beyond it an operator's exceptions are wrong, and a loop would never end."""

_EXCEPTIONS = "calendar exceptions"


def is_trading_day(day: date) -> bool:
    """Whether the exchanges trade on `day`."""
    return _is_open(CalendarDay.Calendar.EXCHANGE, day, lambda: day.weekday() < 5 and _is_official_workday(day))


def next_trading_day(day: date) -> date:
    """The first trading day strictly after `day`."""
    return _next(day, is_trading_day)


def is_bank_day(day: date) -> bool:
    """Whether banks settle on `day`."""
    return _is_open(CalendarDay.Calendar.BANK, day, lambda: _is_official_workday(day))


def next_bank_day(day: date) -> date:
    """The first bank day strictly after `day`."""
    return _next(day, is_bank_day)


def _next(day: date, is_open: Callable[[date], bool]) -> date:
    for ahead in range(1, _LONGEST_CLOSURE_DAYS + 1):
        candidate = day + timedelta(days=ahead)
        if is_open(candidate):
            return candidate
    raise ValueError(f"No open day within {_LONGEST_CLOSURE_DAYS} days after {day}: mend the calendar's exceptions.")


def _is_open(calendar: CalendarDay.Calendar, day: date, official: Callable[[], bool]) -> bool:
    exception = _exceptions().get((calendar.value, day))
    return official() if exception is None else exception


def _is_official_workday(day: date) -> bool:
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:  # the package's word for a year without a notice
        return day.weekday() < 5


def _exceptions() -> Mapping[tuple[str, date], bool]:
    def read() -> dict[tuple[str, date], bool]:
        rows = CalendarDay.objects.values_list("calendar", "day", "is_open")
        return {(calendar, day): is_open for calendar, day, is_open in rows}

    return unit_of_work.remember(_EXCEPTIONS, read)
