"""The doorbell: telling a worker, after commit, that there is something to look for.

A message carries a wish to look and nothing that matters: the database is the queue of record, sweeps find what no bell
announced. So publishing happens after commit, is given up within `GIVE_UP_AFTER_SECONDS` and its failure is only counted.
After a failure the bell stays silent for a moment, so that a broker that hangs slows one request and not all.

The client of the broker knows limits for connecting and for each answer, but none for all of it: a broker that takes
connections and hangs held a request for 0.6 s, one that answers drop by drop for 2 s. So a thread of its own does the
publishing, and who rings waits for it no longer than is promised.
"""

import logging
import math
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from celery import current_app
from django.conf import settings
from django.db import transaction
from kombu.exceptions import KombuError
from kombu.exceptions import OperationalError as BrokerAway

from superapp.counters import BELLS

log = logging.getLogger(__name__)

REQUEST_ID = "request_id"
"""The message's header that names the request behind it."""

GIVE_UP_AFTER_SECONDS = 0.3
"""How long the one who rings waits, whatever the broker does."""

SILENT_AFTER_FAILURE_SECONDS = 1.0

GATHER_SECONDS = 0.5
"""In a web process: how long after a bell the same one is not rung again, but gathered."""

MOST_BELLS = 1_000
"""How many bells are remembered; beyond it the memory begins anew."""

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
        if settings.SUPERAPP_PROCESS != "web" or _gathering.rings_now(self):
            self.publish()

    def publish(self) -> None:
        """Sends the message."""
        _publish(self.task_name, dict(self.arguments))


class _Gathering:
    """Of one bell rung again and again, the first is heard at once and those that follow within a moment together, after it.

    Ringing costs a process more than a statement does, and who works off a set needs no bell for each of its rows. A
    process that ends within that moment leaves it to the sweep.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rung: dict[_Bell, float] = {}
        self._to_ring: set[_Bell] = set()

    def rings_now(self, bell: _Bell) -> bool:
        """Whether the caller is to ring it; otherwise it is rung in a moment."""
        now = time.monotonic()
        with self._lock:
            if bell in self._to_ring:
                return False
            left = self._rung.get(bell, -math.inf) + GATHER_SECONDS - now
            if left <= 0:
                self._rung[bell] = now
                return True
            self._to_ring.add(bell)
        later = threading.Timer(left, self._ring, [bell])
        later.daemon = True
        try:
            later.start()
        except RuntimeError:  # no more threads are to be had: kept for later, the bell would be silent for good
            with self._lock:
                self._to_ring.discard(bell)
            return True
        return False

    def _ring(self, bell: _Bell) -> None:
        with self._lock:
            self._to_ring.discard(bell)
            self._rung = (
                {bell: time.monotonic()} if len(self._rung) > MOST_BELLS else self._rung | {bell: time.monotonic()}
            )
        bell.publish()


_gathering = _Gathering()


def ring(task_name: str, **kwargs: str | int) -> None:
    """Asks a worker to run the task after this transaction's commit, or at once outside of one. Never raises for it.

    The same bell rung several times in one transaction is heard once.
    """
    bell = _Bell(task_name, tuple(sorted(kwargs.items())))
    waiting = transaction.get_connection().run_on_commit
    if any(hook[1] == bell for hook in waiting):
        return
    transaction.on_commit(bell, robust=True)


def get_ready() -> None:
    """Loads what publishing needs and begins to connect, so that a web process's first bell is as quick as the next one."""
    app = current_app._get_current_object()
    app.finalize()
    # What the first message would otherwise import: the pool of producers, and the absence of a result backend.
    _ = app.amqp.router, app.backend
    _ringer.start(_connect)


def failures() -> int:
    """How many bells this process could not ring."""
    return _failures


def _publish(task_name: str, kwargs: Mapping[str, Any]) -> None:
    if time.monotonic() < _silent_until:
        _not_rung("silent", silent_for=0)
        return
    fault = _ringer.ring(
        partial(
            current_app.send_task,
            task_name,
            kwargs=dict(kwargs),
            headers=_asked_by(),
            retry=False,
            ignore_result=True,
            expires=MESSAGE_LIFE_SECONDS,
        )
    )
    if fault is None:
        BELLS.labels("rung").inc()
        return
    if not isinstance(fault, KombuError | BrokerAway | OSError):
        raise fault
    _not_rung("failed", silent_for=SILENT_AFTER_FAILURE_SECONDS)
    log.warning("doorbell not rung", extra={"bell": task_name, "fault": type(fault).__name__})


def _not_rung(outcome: str, *, silent_for: float) -> None:
    global _failures, _silent_until  # noqa: PLW0603  the counter and the pause are the process's own
    BELLS.labels(outcome).inc()
    with _lock:
        _failures += 1
        if silent_for:
            _silent_until = time.monotonic() + silent_for


class _Ringing:
    """One message on its way: done, or failed, or still under way when nobody waits for it any more."""

    def __init__(self, send: Callable[[], object]) -> None:
        self.send = send
        self.done = threading.Event()
        self.fault: Exception | None = None


class _Ringer:
    """The thread that publishes, made when it is first needed, one message at a time."""

    def __init__(self) -> None:
        self._messages: queue.SimpleQueue[_Ringing] | None = None
        self._last: _Ringing | None = None

    def ring(self, send: Callable[[], object]) -> Exception | None:
        """Publishes; what went wrong, if anything. Nothing is queued behind a message that hangs."""
        ringing = self.start(send)
        if ringing is None or not ringing.done.wait(GIVE_UP_AFTER_SECONDS):
            return TimeoutError()
        return ringing.fault

    def start(self, send: Callable[[], object]) -> _Ringing | None:
        """Begins, and waits for nothing; None when the last message still hangs."""
        with _lock:
            if self._last is not None and not self._last.done.is_set():
                return None
            if self._messages is None:
                self._messages = queue.SimpleQueue()
                threading.Thread(target=_ring_each, args=(self._messages,), name="doorbell", daemon=True).start()
            self._last = _Ringing(send)
            self._messages.put(self._last)
            return self._last

    def forget(self) -> None:
        """In a child process, which inherits no thread."""
        self._messages = self._last = None


def _ring_each(messages: "queue.SimpleQueue[_Ringing]") -> None:
    while True:
        ringing = messages.get()
        try:
            ringing.send()
        except Exception as fault:  # noqa: BLE001  whoever waits for it decides; the thread must live on
            ringing.fault = fault
        finally:
            ringing.done.set()


def _connect() -> None:
    with current_app.amqp.producer_pool.acquire(block=True) as producer:
        producer.connection.ensure_connection(max_retries=1)


_ringer = _Ringer()
os.register_at_fork(after_in_child=_ringer.forget)


def _asked_by() -> dict[str, str]:
    """The request on whose behalf the worker will look, so that its log lines can be found by the request's id."""
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    return {REQUEST_ID: request_id} if isinstance(request_id, str) else {}
