"""Travelling: a sandbox lives through the time between now and then, so that what would have happened has happened.

The clock stops at every instant at which a daily job falls due, or one whose time a policy sets; the job runs through the
same task as ever, in this process, and then the sweeps, until nothing is due and no run is open. Other workers may help
meanwhile: every job finds its work by query and takes it under a lock, and the journey goes on only when the work is done,
whoever did it, so that the end is the same every time. What falls due between two instants is done at the later one. At
most one journey at a time.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db import connection

from superapp import clock, jobs, runs
from superapp.errors import ClockCannotTravel
from superapp.models import Run

_LOCK = 7_461_802_311
"""Number of the advisory lock that a journey holds."""

MOST_ROUNDS = 10_000
"""Sweeps that find work for so many rounds at one instant are not sweeping: they find the same again."""


class NeverQuiet(Exception):
    """Sweeps find work without end at one instant; names them."""


@dataclass
class Journey:
    """What a journey came to."""

    started_at: datetime
    ended_at: datetime
    daily_jobs: int = 0
    """Daily jobs that were run."""
    done: dict[str, int] = field(default_factory=dict)
    """How much each job says it did."""
    stopped_runs: list[Run] = field(default_factory=list)
    """Runs that a check has stopped on the way."""


def travel(
    *, to: datetime, tell: Callable[[date, Journey], None] = lambda _day, _journey: None, patience_seconds: float = 60
) -> Journey:
    """Moves the business clock to `to`, doing everything that falls due on the way and at `to` itself.

    `tell` hears of each business day when it is over, and of the last one. Raises ClockCannotTravel in production,
    backwards, and while another journey is under way; `runs.RunsStuck` when nothing moves for `patience_seconds`;
    `NeverQuiet`.
    """
    if not settings.SUPERAPP_SANDBOX:
        raise ClockCannotTravel(reason="this is production, where time is what it is")
    with _only_journey():
        clock.forget()
        here = clock.now()
        if to < here:
            raise ClockCannotTravel(reason=f"it only goes forward, and it is already {here:%Y-%m-%d %H:%M:%S %Z}")
        journey = Journey(started_at=here, ended_at=here)
        stopped_before = set(_stopped_runs())
        _until_quiet(journey, patience_seconds)
        day = _business_day(here)
        for instant, due in _ahead(here, to):
            if _business_day(instant) > day:
                tell(day, journey)
                day = _business_day(instant)
            _move_to(instant)
            for job in due:
                done = _run(job, journey)
                journey.daily_jobs += 1
                if done or job is due[-1]:  # nothing done, nothing new for the sweeps to find
                    _until_quiet(journey, patience_seconds)
        _move_to(to)
        _until_quiet(journey, patience_seconds)
        journey.ended_at = clock.now()
        tell(_business_day(to), journey)
        journey.stopped_runs = [run for pk, run in _stopped_runs().items() if pk not in stopped_before]
        return journey


def _ahead(here: datetime, to: datetime) -> Iterator[tuple[datetime, list[jobs.Job]]]:
    """What falls due, asked for a day at a time: on the way operators may found what has jobs, or set their times anew."""
    while here < to:
        clock.forget()
        until = min(to, here + timedelta(days=1))
        yield from jobs.due_instants(here, until)
        here = until


def _move_to(instant: datetime) -> None:
    clock.forget()
    if clock.now() < instant:  # a long job may have outlasted the time between two instants
        clock.travel(instant)


def _business_day(instant: datetime) -> date:
    return instant.astimezone(clock.business_zone()).date()


def _until_quiet(journey: Journey, patience_seconds: float) -> None:
    def sweep() -> int:
        return sum(_run(job, journey) for job in jobs.sweeps())

    for _ in range(MOST_ROUNDS):
        if sweep() == 0:
            if not runs.unfinished().exists():
                return
            runs.wait_until_closed(deadline_seconds=patience_seconds, work=sweep)
    busy = ", ".join(sorted(name for name, done in journey.done.items() if done))
    raise NeverQuiet(f"After {MOST_ROUNDS} rounds at {clock.now():%Y-%m-%d %H:%M %Z} there is still work due: {busy}.")


def _run(job: jobs.Job, journey: Journey) -> int:
    done = jobs.run_here(job)
    journey.done[job.name] = journey.done.get(job.name, 0) + done
    return done


def _stopped_runs() -> dict[object, Run]:
    return {run.pk: run for run in Run.objects.filter(state=Run.State.STOPPED)}


@contextmanager
def _only_journey() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        row = cursor.fetchone()
    if not row[0]:
        raise ClockCannotTravel(reason="another journey is under way")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
