"""Which day an order belongs to, and from which day it counts.

| placed (in the fund's zone) | trade day T | effective day |
|---|---|---|
| on a trading day, before the cut-off | that day | the trading day after T |
| at the cut-off or later, or on a day that does not trade | the next trading day | the trading day after T |

A subscription is confirmed, and earns, from 00:00 of its effective day. A redemption's shares leave at that instant, so the
day before is the last that earns: Friday before 15:00 still earns Saturday and Sunday.
"""

from dataclasses import dataclass
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from superapp import calendars


@dataclass(frozen=True, slots=True)
class OrderDays:
    """The two days of an order."""

    trade_day: date
    effective_day: date


def order_days(*, placed_at: datetime, zone: ZoneInfo, cut_off: time) -> OrderDays:
    """The days of an order placed at `placed_at`, to the microsecond: the cut-off itself is too late for its day."""
    local = placed_at.astimezone(zone)
    day = local.date()
    in_time = calendars.is_trading_day(day) and local.time() < cut_off
    trade_day = day if in_time else calendars.next_trading_day(day)
    return OrderDays(trade_day=trade_day, effective_day=calendars.next_trading_day(trade_day))
