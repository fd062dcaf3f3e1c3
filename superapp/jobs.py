"""What happens by itself, and when, in business time: one register for Celery beat and for `manage.py travel`.

Apps declare their jobs in `<app>/tasks.py`, beside the tasks. A message carries nothing but the wish to look: **a row
in the database decides** whether something is due, so a job may be run twice, late, or by two schedulers at once.

- `Every(seconds)` is a sweep: it looks for due rows again and again. Its task returns how much it did (0: nothing was
  due).
- `Daily(at, zone)` names the business instant at which a day's work falls due. Beat pokes it every minute and the
  job's own query decides, so a scheduler that was down catches up, and a sandbox whose clock is elsewhere keeps its
  own time; `travel` stops at each such instant.
- `ByPolicy(instants)` is the same for work whose time of day operators set: the app works out the instants.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from celery import Task, current_app
from django.utils.module_loading import autodiscover_modules

from superapp import clock

DAILY_POKE_SECONDS = 60.0
"""How often beat asks a job with instants of its own whether its work is due."""


@dataclass(frozen=True)
class Every:
    """A sweep, this many seconds apart."""

    seconds: float


@dataclass(frozen=True)
class Daily:
    """Work that falls due each day at a time of day, in the business zone unless another is named."""

    at: time
    zone: ZoneInfo | None = None

    def instants(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """The instants, in UTC, with after < instant <= until. A time that a zone skips counts at the skip's offset."""
        zone = self.zone or clock.business_zone()
        day: date = after.astimezone(zone).date()
        last = until.astimezone(zone).date()
        while day <= last:
            instant = datetime.combine(day, self.at, tzinfo=zone).astimezone(UTC)
            if after < instant <= until:
                yield instant
            day += timedelta(days=1)


@dataclass(frozen=True)
class ByPolicy:
    """Work that falls due at instants that policies rule."""

    instants: Callable[[datetime, datetime], Iterable[datetime]]
    """Called with `after` and `until`: the instants with after < instant <= until, in any order."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One thing that happens by itself."""

    name: str
    task: str
    """Name of the Celery task that carries it out; it returns how much it did, 0 when nothing was due."""
    schedule: Every | Daily | ByPolicy
    order: int
    """Which job goes first when several fall due at one instant; lower first, ties by name."""
    kwargs: Mapping[str, Any] = field(default_factory=dict)


_jobs: dict[str, Job] = {}


def declare(job: Job) -> Job:
    """Enters a job into the register, once per name, at import of the app's tasks."""
    known = _jobs.get(job.name)
    if known is not None and known != job:
        raise ValueError(f"The job {job.name} is declared twice.")
    _jobs[job.name] = job
    return job


def all() -> tuple[Job, ...]:
    """Every job of the installed apps, in the order in which jobs of one instant run."""
    autodiscover_modules("tasks")
    return tuple(sorted(_jobs.values(), key=lambda job: (job.order, job.name)))


def sweeps() -> tuple[Job, ...]:
    """The jobs that look for due rows again and again."""
    return tuple(job for job in all() if isinstance(job.schedule, Every))


def due_instants(after: datetime, until: datetime) -> list[tuple[datetime, list[Job]]]:
    """The instants at which jobs that are no sweeps fall due, with after < instant <= until, each with its jobs in order."""
    due: defaultdict[datetime, list[Job]] = defaultdict(list)
    for job in all():
        if not isinstance(job.schedule, Every):
            for instant in job.schedule.instants(after, until):
                due[instant].append(job)
    return sorted(due.items(), key=lambda item: item[0])


def beat_schedule() -> dict[str, dict[str, Any]]:
    """The register as Celery beat reads it. A message that nobody took before the next one is dropped."""
    entries: dict[str, dict[str, Any]] = {}
    for job in all():
        seconds = job.schedule.seconds if isinstance(job.schedule, Every) else DAILY_POKE_SECONDS
        entries[job.name] = {
            "task": job.task,
            "schedule": seconds,
            "kwargs": dict(job.kwargs),
            "options": {"expires": max(seconds, 1.0)},
        }
    return entries


def run_here(job: Job) -> int:
    """Runs the job's task in this process and says how much it did (a task that says nothing counts as 0)."""
    clock.forget()
    task: Task[Any, Any] = current_app.tasks[job.task]
    done = task.run(**job.kwargs)
    return done if isinstance(done, int) else 0
