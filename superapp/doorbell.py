"""The doorbell: telling a worker, after commit, that there is something to look for.

A message carries a wish to look and nothing that matters: the database is the queue of record, sweeps find what no bell
announced. So publishing happens after commit, is given up at once when the broker is away, and its failure is only
counted. After a failure the bell stays silent for a moment, so that a broker that hangs slows one request and not all.
"""

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from celery import current_app
from django.db import transaction
from kombu.exceptions import KombuError
from kombu.exceptions import OperationalError as BrokerAway

from superapp.counters import BELLS

log = logging.getLogger(__name__)

REQUEST_ID = "request_id"
"""The message's header that names the request behind it."""

GIVE_UP_AFTER_SECONDS = 0.3
"""What the broker's transport options (`config.settings.celery`) allow one publication."""

SILENT_AFTER_FAILURE_SECONDS = 1.0

MESSAGE_LIFE_SECONDS = 60
"""A bell nobody heard by then is dropped; the sweeps have been round by then."""

_lock = threading.Lock()
_failures = 0
_silent_until = 0.0


@dataclass(frozen=True)
class _Bell:
    task_name: str
    arguments: tuple[tuple[str, Any], ...]

    def __call__(self) -> None:
        _publish(self.task_name, dict(self.arguments))


def ring(task_name: str, **kwargs: str | int) -> None:
    """Asks a worker to run the task after this transaction's commit, or at once outside of one. Never raises for it.

    The same bell rung several times in one transaction is heard once.
    """
    bell = _Bell(task_name, tuple(sorted(kwargs.items())))
    waiting = transaction.get_connection().run_on_commit
    if any(hook[1] == bell for hook in waiting):
        return
    transaction.on_commit(bell, robust=True)


def failures() -> int:
    """How many bells this process could not ring."""
    return _failures


def _publish(task_name: str, kwargs: Mapping[str, Any]) -> None:
    global _failures, _silent_until  # noqa: PLW0603  the counter and the pause are the process's own
    if time.monotonic() < _silent_until:
        BELLS.labels("silent").inc()
        with _lock:
            _failures += 1
        return
    try:
        current_app.send_task(
            task_name,
            kwargs=dict(kwargs),
            headers=_asked_by(),
            retry=False,
            ignore_result=True,
            expires=MESSAGE_LIFE_SECONDS,
        )
    except (KombuError, BrokerAway, OSError) as fault:
        BELLS.labels("failed").inc()
        with _lock:
            _failures += 1
            _silent_until = time.monotonic() + SILENT_AFTER_FAILURE_SECONDS
        log.warning("doorbell not rung", extra={"bell": task_name, "fault": type(fault).__name__})
    else:
        BELLS.labels("rung").inc()


def _asked_by() -> dict[str, str]:
    """The request on whose behalf the worker will look, so that its log lines can be found by the request's id."""
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    return {REQUEST_ID: request_id} if isinstance(request_id, str) else {}
