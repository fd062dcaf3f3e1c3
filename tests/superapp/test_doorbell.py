"""The doorbell: heard after commit, once, and never in the way."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import structlog
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError
from pytest_django import DjangoCaptureOnCommitCallbacks
from pytest_django.fixtures import Settings

from superapp import doorbell
from superapp.counters import BELLS
from tests.blackhole import a_black_hole
from tests.waiting import PATIENCE_SECONDS, wait_until

pytestmark = pytest.mark.django_db


class Broker:
    """Takes what is published, or is away."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        self.away: Exception | None = None
        self.asked = 0

    def send_task(
        self, name: str, *, kwargs: dict[str, Any], headers: dict[str, str], retry: bool, **_options: Any
    ) -> None:
        self.asked += 1
        assert retry is False
        if self.away is not None:
            raise self.away
        self.messages.append((name, kwargs))
        self.headers.append(headers)


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    broker = Broker()
    monkeypatch.setattr(current_app, "send_task", broker.send_task)
    monkeypatch.setattr(doorbell, "_silent_until", 0.0)
    monkeypatch.setattr(doorbell, "SILENT_AFTER_FAILURE_SECONDS", 3_600.0)
    monkeypatch.setattr(doorbell, "GIVE_UP_AFTER_SECONDS", PATIENCE_SECONDS)  # it answers, however busy the machine is
    return broker


def test_a_bell_is_heard_after_commit_and_not_before(
    broker: Broker, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        doorbell.ring("test.settle", transfer="7")
        assert broker.messages == []
    assert broker.messages == [("test.settle", {"transfer": "7"})]


def test_a_bell_of_a_transaction_that_failed_is_not_heard(
    broker: Broker, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
        doorbell.ring("test.settle")
        transaction.set_rollback(True)
    assert broker.messages == []


def test_the_same_bell_is_heard_once_a_transaction_and_others_each(
    broker: Broker, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        for _ in range(3):
            doorbell.ring("test.settle")
        doorbell.ring("test.settle", transfer="7")
        doorbell.ring("test.fold")
    assert broker.messages == [("test.settle", {}), ("test.settle", {"transfer": "7"}), ("test.fold", {})]


@pytest.mark.parametrize("fault", [OperationalError("away"), ConnectionRefusedError(), TimeoutError()])
def test_a_broker_that_is_away_is_counted_and_left_in_peace_for_a_moment(
    broker: Broker,
    fault: Exception,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    broker.away = fault
    before = doorbell.failures()
    for number in range(2):
        with django_capture_on_commit_callbacks(execute=True):
            doorbell.ring("test.settle", number=number)
    assert broker.asked == 1
    assert doorbell.failures() == before + 2

    broker.away = None
    monkeypatch.setattr(doorbell, "_silent_until", time.monotonic())
    with django_capture_on_commit_callbacks(execute=True):
        doorbell.ring("test.settle")
    assert broker.messages == [("test.settle", {})]


@contextmanager
def a_broker_at(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Publishing goes there, and knows no limit of its own."""
    monkeypatch.setattr(doorbell, "_silent_until", 0.0)
    monkeypatch.setattr(doorbell, "_ringer", doorbell._Ringer())
    real = current_app.send_task
    with current_app.connection_for_write(url, transport_options={}) as there:
        monkeypatch.setattr(current_app, "send_task", lambda *args, **options: real(*args, connection=there, **options))
        yield


def failed_bells() -> float:
    return sum(
        sample.value
        for metric in BELLS.collect()
        for sample in metric.samples
        if sample.name.endswith("_total") and sample.labels["outcome"] == "failed"
    )


def test_a_broker_that_refuses_connections_never_reaches_the_caller(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    before, counted = doorbell.failures(), failed_bells()
    with a_broker_at("redis://127.0.0.1:1/0", monkeypatch), django_capture_on_commit_callbacks(execute=True):
        doorbell.ring("test.settle")
    assert (doorbell.failures(), failed_bells()) == (before + 1, counted + 1)


def test_a_broker_that_takes_connections_and_never_answers_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    """Nothing on the way has a limit here and the broker never answers: coming back at all is the bell's own doing."""
    before, counted = doorbell.failures(), failed_bells()
    with a_black_hole() as hole, a_broker_at(f"redis://127.0.0.1:{hole.port}/0", monkeypatch):
        with django_capture_on_commit_callbacks(execute=True):
            doorbell.ring("test.settle")
        assert (doorbell.failures(), failed_bells()) == (before + 1, counted + 1)
        wait_until(lambda: hole.visitors, what="the publisher's connection")

        monkeypatch.setattr(doorbell, "_silent_until", 0.0)
        with django_capture_on_commit_callbacks(execute=True):
            doorbell.ring("test.settle", number=2)
        assert failed_bells() == counted + 2
        assert hole.visitors == 1, "nothing is queued behind a message that hangs"


def test_what_is_wrong_with_our_own_code_is_no_broker_that_is_away(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.away = TypeError("not a task's name")
    with pytest.raises(TypeError):
        doorbell._publish("test.settle", {})
    broker.away = None
    doorbell._publish("test.settle", {})
    assert broker.messages == [("test.settle", {})], "the publisher lives on"


def test_a_child_process_rings_with_a_thread_of_its_own(broker: Broker) -> None:
    doorbell._publish("test.settle", {})
    child = os.fork()
    if child == 0:
        doorbell._publish("test.settle", {})
        os._exit(len(broker.messages))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2


def test_a_bell_that_cannot_be_gathered_is_rung_and_does_not_fall_silent(
    broker: Broker, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine out of threads: what has no thread to be rung by later is rung now, this time and the next."""
    settings.SUPERAPP_PROCESS = "web"
    monkeypatch.setattr(doorbell, "_gathering", doorbell._Gathering())
    monkeypatch.setattr(doorbell, "GATHER_SECONDS", 3_600)

    def no_thread(_timer: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Timer.start", no_thread)
    bell = doorbell._Bell("test.settle", ())
    for _ in range(3):
        bell()
    assert len(broker.messages) == 3


def test_a_message_names_the_request_behind_it(broker: Broker) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        doorbell._publish("test.settle", {})
    assert broker.headers == [{"request_id": "r-1"}]
