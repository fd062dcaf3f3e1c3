"""The Celery app: workers that carry out what happens by itself, and the beat that pokes them.

A message is a wish to look; the database is the queue of record (`superapp.doorbell`, `superapp.jobs`). So nothing waits for
results, nothing is retried by the broker's bookkeeping, and losing every message costs a moment's delay.

    celery -A config worker        any number, on any machine
    celery -A config beat          one; two do no harm
"""

import os
import time
from typing import Any

from celery import Celery, signals
from celery.beat import Scheduler

from config.hearing import Hearing

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("superapp")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["consumer"].add(Hearing)


class JobScheduler(Scheduler):  # type: ignore[misc]
    """Beat over the register of jobs in the code. It keeps no file: every job is a poke, and a row decides."""

    def setup_schedule(self) -> None:
        """Reads the register."""
        from superapp import jobs

        self.install_default_entries({})
        self.merge_inplace(jobs.beat_schedule())


@signals.setup_logging.connect  # type: ignore[untyped-decorator]
def _keep_our_logging(**_about: Any) -> None:
    """Django's settings have set up logging; Celery keeps its hands off while someone listens to this signal."""


@signals.worker_init.connect  # type: ignore[untyped-decorator]
@signals.beat_init.connect  # type: ignore[untyped-decorator]
def _start_engines(**_about: Any) -> None:
    """A worker or a beat begun by hand in a sandbox finds its engines running."""
    from config.engines import ensure_running

    ensure_running()


@signals.worker_process_init.connect  # type: ignore[untyped-decorator]
def _begin_process(**_about: Any) -> None:
    """A process of a worker keeps counters of its own."""
    from superapp import counters

    counters.begin()


@signals.task_prerun.connect  # type: ignore[untyped-decorator]
def _begin_task(task_id: str, task: Any, **_about: Any) -> None:
    """A task is a unit of work: it asks for the time anew, and its log lines carry its name and id.

    A session that has ended since the last task, with its server or by an operator's hand, is replaced.
    """
    import structlog
    from django.db import close_old_connections

    from superapp import clock, doorbell

    close_old_connections()
    clock.forget()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(task=task.name, task_id=task_id)
    asked_by = (task.request.headers or {}).get(doorbell.REQUEST_ID)
    if asked_by:
        structlog.contextvars.bind_contextvars(request_id=asked_by)
    task.request.began = time.perf_counter()


@signals.task_postrun.connect  # type: ignore[untyped-decorator]
def _end_task(task: Any, retval: Any, state: str | None, **_about: Any) -> None:
    """The task is counted; one that did something says how much, in one line. Sweeps that found nothing say nothing."""
    import structlog

    from superapp.counters import TASK_SECONDS

    seconds = time.perf_counter() - task.request.began
    TASK_SECONDS.labels(task.name, (state or "unknown").lower()).observe(seconds)
    if isinstance(retval, int) and retval > 0:
        structlog.get_logger("superapp.tasks").info("task_done", done=retval, seconds=round(seconds, 3))
    structlog.contextvars.clear_contextvars()
