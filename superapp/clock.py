"""The one clock of the business. Nothing else in the code base asks what time it is.

In production it is the time of the machine, and no query is made. In a sandbox it runs beside the machine's time at
the distance that the installation's row says; it can be moved forward, never back. The distance is read once per unit
of work (a request, a task, a command's step) and kept until `forget()`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from superapp import unit_of_work
from superapp.errors import ClockCannotTravel
from superapp.models import Installation, User

_OFFSET = "clock offset"
_NO_DISTANCE = timedelta()

_stopped: ContextVar[datetime | None] = ContextVar("clock_stopped", default=None)


def now() -> datetime:
    """The business instant, aware, in UTC."""
    if not settings.SUPERAPP_SANDBOX:
        return timezone.now()
    stopped = _stopped.get()
    if stopped is not None:
        return stopped
    return timezone.now() + unit_of_work.remember(_OFFSET, _read_offset)


SQL = "coalesce(%s::timestamptz, clock_timestamp() + %s::interval)"
"""The business instant at which a statement evaluates this, by the database's own watch; its parameters: `in_sql()`."""


def in_sql() -> tuple[datetime | None, timedelta]:
    """What `SQL` needs to show the time that `now()` shows: an instant at which the clock stands still, and its distance."""
    if not settings.SUPERAPP_SANDBOX:
        return None, _NO_DISTANCE
    return _stopped.get(), unit_of_work.remember(_OFFSET, _read_offset)


def today(zone: ZoneInfo | None = None) -> date:
    """The business day in `zone`, the business zone by default."""
    return now().astimezone(zone or business_zone()).date()


def business_zone() -> ZoneInfo:
    """The zone in which days, cut-offs and calendars are read unless a product names its own: settings.TIME_ZONE."""
    return _zone(settings.TIME_ZONE)


def start_of(day: date, zone: ZoneInfo | None = None) -> datetime:
    """The instant at which `day` begins in `zone`, in UTC. Day D is [start_of(D), start_of(D + 1))."""
    return datetime.combine(day, time.min, tzinfo=zone or business_zone()).astimezone(UTC)


def travel(to: datetime) -> None:
    """Moves the business clock of this sandbox forward to `to`, for everyone, at once for who asks next.

    Raises ClockCannotTravel in production, backwards, and for an instant without a zone.
    """
    if not settings.SUPERAPP_SANDBOX:
        raise ClockCannotTravel(reason="this is production, where time is what it is")
    if to.tzinfo is None:
        raise ClockCannotTravel(reason="the instant has no time zone")
    forget()
    here = now()
    if to < here:
        raise ClockCannotTravel(reason=f"it only goes forward, and it is already {here.isoformat(timespec='seconds')}")
    offset = to - timezone.now()
    sandbox = Installation.objects.filter(pk=1, mode="sandbox")
    # conditional: of two that travel at once, the nearer one must not take the clock back from the farther
    moved = sandbox.filter(Q(clock_offset__isnull=True) | Q(clock_offset__lte=offset)).update(clock_offset=offset)
    forget()
    if not moved and sandbox.exists():
        raise ClockCannotTravel(reason="it only goes forward, and somebody else has just moved it farther")
    if not moved:
        raise ClockCannotTravel(reason="this database is not a sandbox's")


def start_at(instant: datetime) -> None:
    """Sets the business clock of a new sandbox, to the past if need be: only while nobody is known to it.

    Later it can only `travel`, forward: what has happened keeps its time. Raises ClockCannotTravel otherwise.
    """
    if not settings.SUPERAPP_SANDBOX:
        raise ClockCannotTravel(reason="this is production, where time is what it is")
    if instant.tzinfo is None:
        raise ClockCannotTravel(reason="the instant has no time zone")
    if User.objects.exists():
        raise ClockCannotTravel(reason="people are known to this sandbox already, so its clock only goes forward")
    if not Installation.objects.filter(pk=1, mode="sandbox").update(clock_offset=instant - timezone.now()):
        raise ClockCannotTravel(reason="this database is not a sandbox's")
    forget()


def forget() -> None:
    """Begins a new unit of work: distance, policies and calendars are read again at the next look.

    Called at the start of each request and task, and by each step of a command that runs for long.
    """
    unit_of_work.begin()


def know_offset(offset: timedelta | None) -> None:
    """Takes the distance as somebody has just read it, for this unit of work."""
    unit_of_work.know(_OFFSET, offset or timedelta())


@contextmanager
def stopped_at(instant: datetime) -> Iterator[None]:
    """Lets this thread's clock stand still at `instant`; for tests. Raises ClockCannotTravel in production."""
    if not settings.SUPERAPP_SANDBOX:
        raise ClockCannotTravel(reason="this is production, where time is what it is")
    token = _stopped.set(instant.astimezone(UTC))
    try:
        yield
    finally:
        _stopped.reset(token)


def _read_offset() -> timedelta:
    offset = Installation.objects.filter(pk=1).values_list("clock_offset", flat=True).first()
    return offset or timedelta()


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
