"""Admission: how many requests a web process works on at once, decided before one of them touches the database.

| what | bound |
|---|---|
| at work in a process | `AT_WORK`, each with a database connection of its own that stays with the place, not with the thread |
| waiting in a process | the server's other threads (`config.runner.THREADS`), first come, first served |
| waiting time | `WAIT_SECONDS`, then 503 UNAVAILABLE with Retry-After, counted and not logged |
| while nobody has left for that long | no waiting but 503 at once: no queue grows before a stuck database |
| a GraphQL request in all | `REQUEST_SECONDS` from its arrival; what is left bounds its statements and waits for locks |

So a web process has at most `AT_WORK` connections, whatever comes. `/livez` asks nobody and is always let in. A body that fits
is read before there is a place for it: a slow sender keeps a thread, and no place.
"""

import io
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, cast

from django.db import DEFAULT_DB_ALIAS, connections

from config.engines.backend.base import DatabaseWrapper
from superapp import request_log
from superapp.counters import refused

AT_WORK = 1
"""A second one would share the interpreter with the first; more processes serve more."""

WAIT_SECONDS = 0.5
REQUEST_SECONDS = 1.8
"""Leaves a fifth of a second of the promised two for the answer's way."""

RETRY_AFTER_SECONDS = 1
READ_BEFORE_BYTES = 65_536
LONGEST_LENGTH = 9
"""Digits of a length that is looked at, leading zeros and all."""

GRAPHQL = "/graphql/"
ALWAYS = frozenset({"/livez"})

_REFUSAL = json.dumps(
    {"errors": [{"message": "Too much is asked at once; send it again.", "extensions": {"code": "UNAVAILABLE"}}]}
).encode()

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class Place:
    """Room for one request at work, with the database connection that goes with it."""

    def __init__(self) -> None:
        self.connection: DatabaseWrapper | None = None

    def take(self, deadline: float | None) -> None:
        """This thread works here: the connection becomes its own."""
        connection = self.connection
        if connection is None:
            connection = self.connection = cast(DatabaseWrapper, connections.create_connection(DEFAULT_DB_ALIAS))
            connection.inc_thread_sharing()
        connection.deadline = deadline
        connections[DEFAULT_DB_ALIAS] = connection

    def give_up(self) -> None:
        """The connection stays for whoever comes next, with its usual limits."""
        del connections[DEFAULT_DB_ALIAS]
        if self.connection is not None:
            self.connection.lift_deadline()


class _Waiter:
    def __init__(self) -> None:
        self.place: Place | None = None
        self.called = threading.Lock()
        self.called.acquire()


class Gate:
    """Stands before a WSGI application."""

    def __init__(self, application: Application, *, at_work: int = AT_WORK, wait_seconds: float = WAIT_SECONDS) -> None:
        self.application = application
        self.wait_seconds = wait_seconds
        self._lock = threading.Lock()
        self._free = [Place() for _ in range(at_work)]
        self._waiting: deque[_Waiter] = deque()
        self._last_change = time.monotonic()

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Lets the request in, now or a moment later, or refuses it."""
        path = environ.get("PATH_INFO", "")
        if path in ALWAYS:
            return self.application(environ, start_response)
        arrived = time.monotonic()
        _read_body(environ)
        place = self._enter()
        if place is None:
            request_log.count(path, 503)
            refused("UNAVAILABLE")
            headers = [
                ("Content-Type", "application/json; charset=utf-8"),
                ("Content-Length", str(len(_REFUSAL))),
                ("Retry-After", str(RETRY_AFTER_SECONDS)),
                ("Cache-Control", "no-store"),
            ]
            start_response("503 Service Unavailable", headers)
            return [_REFUSAL]
        try:
            place.take(arrived + REQUEST_SECONDS if path == GRAPHQL else None)
            try:
                return self.application(environ, start_response)
            finally:
                place.give_up()
        finally:
            self._leave(place)

    def _enter(self) -> Place | None:
        with self._lock:
            now = time.monotonic()
            if self._free:
                self._last_change = now
                return self._free.pop()
            if now - self._last_change > self.wait_seconds:
                return None
            waiter = _Waiter()
            self._waiting.append(waiter)
        if not waiter.called.acquire(timeout=self.wait_seconds):
            with self._lock:
                if waiter.place is None:  # else it was called at this very moment
                    self._waiting.remove(waiter)
        return waiter.place

    def _leave(self, place: Place) -> None:
        """Hands the place to who waits longest: were it merely free, whoever comes at that moment would overtake them all."""
        with self._lock:
            self._last_change = time.monotonic()
            if not self._waiting:
                self._free.append(place)
                return
            waiter = self._waiting.popleft()
            waiter.place = place
            waiter.called.release()


def _read_body(environ: Environ) -> None:
    """Reads a body that says how long it is and is no longer than fits; any other is left to the view, which refuses it."""
    length = environ.get("CONTENT_LENGTH") or ""
    if not (length.isascii() and length.isdigit() and len(length) <= LONGEST_LENGTH):
        return
    size = int(length)
    if 0 < size <= READ_BEFORE_BYTES:
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(size))
