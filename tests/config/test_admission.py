"""Admission before a connection is taken, the limits of a request's time, and what a kept session costs."""

import ast
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, cast

import psycopg
import pytest
from django.db import close_old_connections, connection, connections, transaction
from django.db.utils import OperationalError

from config.admission import REQUEST_SECONDS, WAIT_SECONDS, Gate
from config.engines.backend import base
from config.engines.backend.base import WEB_LOCK_SECONDS, WEB_STATEMENT_SECONDS, DatabaseWrapper, DeadlinePassed
from config.settings.database import SESSION_LIMITS
from superapp import counters, prepared
from tests.databases import TestDatabase
from tests.waiting import PATIENCE_SECONDS, wait_until

Answer = tuple[str, dict[str, str], bytes]

LOWERS_SECONDS = WEB_STATEMENT_SECONDS - 0.1
"""A deadline so near that a session's limits are lowered for it, and as far as it can be: other work may come between."""


def asking(gate: Gate, path: str = "/graphql/") -> Answer:
    said: list[Any] = []
    body = b"".join(gate({"PATH_INFO": path}, lambda status, headers: said.extend([status, dict(headers)])))
    return said[0], said[1], body


class Held:
    """An application whose requests stay at work until they are let go; notes who was let in, and in which order."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.let_in: list[str] = []
        self.at_once: list[int] = []
        self._now = 0

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self._now += 1
        self.at_once.append(self._now)
        self.let_in.append(environ["PATH_INFO"])
        self.let_go.wait(PATIENCE_SECONDS)
        self._now -= 1
        start_response("200 OK", [])
        return [b"done"]


def test_one_is_at_work_and_who_waits_is_let_in_in_the_order_of_coming(committed_db: object) -> None:
    held = Held()
    gate = Gate(held, wait_seconds=30)
    with ThreadPoolExecutor(4) as pool:
        answers = []
        for number in range(4):
            answers.append(pool.submit(asking, gate, f"/{number}"))
            wait_until(partial(_have_come, held, gate, number + 1), what="its turn")
        assert held.let_in == ["/0"]
        assert asking_needs_no_place(gate, held)
        held.let_go.set()
        assert {answer.result()[0] for answer in answers} == {"200 OK"}
    assert held.let_in[:1] + held.let_in[2:] == ["/0", "/1", "/2", "/3"]


def _have_come(held: Held, gate: Gate, count: int) -> bool:
    return len(held.let_in) + len(gate._waiting) == count


def asking_needs_no_place(gate: Gate, held: Held) -> bool:
    """Whether the question if the process lives is let in past who waits."""
    alive = threading.Thread(target=asking, args=(gate, "/livez"), daemon=True)
    alive.start()
    wait_until(lambda: "/livez" in held.let_in, what="the process to say that it lives")
    return True


def test_who_waits_too_long_is_refused_with_a_code_and_then_all_at_once_until_somebody_leaves(
    committed_db: object,
) -> None:
    held = Held()
    gate = Gate(held, wait_seconds=0.05)
    with ThreadPoolExecutor(1) as pool:
        stuck = pool.submit(asking, gate)
        wait_until(lambda: held.let_in, what="the first one to be at work")
        counted = turned_away()
        status, headers, body = asking(gate)
        assert turned_away() == [before + 1 for before in counted]
        assert (status, headers["Retry-After"]) == ("503 Service Unavailable", "1")
        assert b'"code": "UNAVAILABLE"' in body
        wait_until(lambda: time.monotonic() - gate._last_change > 0.05, what="the place to be stuck")
        gate._waiting = cast(Any, None)  # to wait would fail: nobody is to wait now
        assert asking(gate)[0].startswith("503")
        gate._waiting = deque()
        held.let_go.set()
        assert stuck.result()[0] == "200 OK"
    assert asking(gate)[0] == "200 OK"
    assert held.let_in == ["/graphql/", "/graphql/"]


def test_a_process_has_no_more_connections_than_places_and_they_outlive_the_threads(committed_db: object) -> None:
    pids: list[int] = []

    def application(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            pids.append(cursor.fetchone()[0])
        start_response("200 OK", [])
        return []

    gate = Gate(application, wait_seconds=30)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: asking(gate)[0], range(24)))
    assert answers == ["200 OK"] * 24
    assert len(pids) == 24
    assert len(set(pids)) == 1
    place = gate._free[0]
    assert place.connection is not None
    place.connection.close()


def turned_away() -> list[float]:
    """What operators see of it: answers of the API with 503, and refusals by code."""
    return [
        counters.REGISTRY.get_sample_value("superapp_http_responses_total", {"area": "graphql", "status": "503"}) or 0,
        counters.REGISTRY.get_sample_value("superapp_refusals_total", {"code": "UNAVAILABLE"}) or 0,
    ]


class Body:
    """A request's body, as long as whoever reads it asks for."""

    def __init__(self) -> None:
        self.read_at_once = 0

    def read(self, size: int) -> bytes:
        self.read_at_once = max(self.read_at_once, size)
        return b"{}"


@pytest.mark.parametrize(
    ("said", "read"),
    [("2", 2), ("65536", 65_536), ("65537", 0), ("000006553612345678", 0), ("9" * 5_000, 0), ("-1", 0), ("", 0)],
)
def test_no_more_of_a_body_is_read_before_admission_than_fits(committed_db: object, said: str, read: int) -> None:
    body = Body()
    gate = Gate(lambda _environ, _start_response: [])
    gate({"PATH_INFO": "/graphql/", "CONTENT_LENGTH": said, "wsgi.input": body}, lambda *_said: None)
    assert body.read_at_once == read


def ours() -> DatabaseWrapper:
    return cast(DatabaseWrapper, connections["default"])


def limits() -> tuple[str, str]:
    session = ours().connection
    return session.execute("SHOW statement_timeout").fetchone()[0], session.execute("SHOW lock_timeout").fetchone()[0]


def test_waits_add_up_to_no_more_than_the_request_has(committed_db: TestDatabase) -> None:
    connection.ensure_connection()
    before = limits()
    with psycopg.connect(committed_db.url) as other:
        other.execute("LOCK TABLE wallet_asset")
        began = time.monotonic()
        ours().deadline = began + LOWERS_SECONDS
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.2)")
        with pytest.raises(OperationalError), connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM wallet_asset")
    assert limits() != before
    wait_until(lambda: time.monotonic() > began + LOWERS_SECONDS, what="the deadline")
    with pytest.raises(DeadlinePassed), transaction.atomic():
        pass
    assert ours().autocommit
    ours().lift_deadline()
    connection.ensure_connection()
    assert limits() == before


def test_a_transaction_that_ends_behind_the_deadline_has_ended_and_leaves_a_clean_connection(
    committed_db: object,
) -> None:
    ours().deadline = time.monotonic() + 30
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("UPDATE superapp_user SET is_active = is_active")
            ours().deadline = time.monotonic() - 1
        with pytest.raises(DeadlinePassed), connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        ours().lift_deadline()
    assert connection.get_autocommit()
    assert not connection.in_atomic_block


def test_limits_lowered_in_a_transaction_are_lowered_again_after_its_rollback(
    committed_db: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "WEB_STATEMENT_SECONDS", 2 * PATIENCE_SECONDS)
    ours().deadline = time.monotonic() + PATIENCE_SECONDS
    try:
        with transaction.atomic():
            connection.ensure_connection()
            lowered = limits()
            transaction.set_rollback(True)
        connection.ensure_connection()
        assert lowered[0].endswith("ms")
        assert limits()[0].endswith("ms")
    finally:
        ours().lift_deadline()
    assert not limits()[0].endswith("ms")


def test_a_kept_session_is_looked_at_without_asking_and_an_ended_one_is_replaced(committed_db: TestDatabase) -> None:
    connection.ensure_connection()
    pid = connection.connection.info.backend_pid
    asked: list[str] = []

    def listen(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        asked.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(listen):
        assert connection.is_usable()
    assert not asked
    with psycopg.connect(committed_db.url, autocommit=True) as owner:
        owner.execute("SELECT pg_terminate_backend(%s, 60000)", [pid])
    assert not connection.is_usable()


def test_a_request_that_begins_with_a_prepared_statement_replaces_an_ended_session_too(
    committed_db: TestDatabase,
) -> None:
    connection.ensure_connection()
    with psycopg.connect(committed_db.url, autocommit=True) as owner:
        owner.execute("SELECT pg_terminate_backend(%s, 60000)", [connection.connection.info.backend_pid])
    close_old_connections()  # as each request begins
    assert prepared.run("SELECT 1", ()) == [(1,)]


def test_a_deadline_lowers_the_limits_that_web_sessions_have() -> None:
    web = SESSION_LIMITS["web"]
    assert (web["statement_timeout"], web["lock_timeout"], web["connect_timeout"]) == ("1500ms", "1s", 1)
    assert (WEB_STATEMENT_SECONDS, WEB_LOCK_SECONDS) == (1.5, 1.0)
    assert WAIT_SECONDS < REQUEST_SECONDS < 2


@pytest.mark.parametrize("process", SESSION_LIMITS)
def test_a_server_that_vanishes_without_a_word_is_given_up_within_ten_seconds(process: str) -> None:
    """Its network answers no more: neither what is sent nor what is waited for may hold a connection for longer."""
    run = subprocess.run(
        [sys.executable, "-c", "from config.settings import database as d; print(d.DATABASES['default']['OPTIONS'])"],
        env={**os.environ, "SUPERAPP_PROCESS": process, "DATABASE_URL": "postgresql://site@db.example/site"},
        capture_output=True,
        text=True,
        check=True,
    )
    said = ast.literal_eval(run.stdout)
    assert said["tcp_user_timeout"] <= 10_000
    assert said["keepalives_idle"] + said["keepalives_interval"] * said["keepalives_count"] <= 10
