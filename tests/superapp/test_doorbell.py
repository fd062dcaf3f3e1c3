"""The doorbell: heard after commit, once, and never in the way."""

import time
from typing import Any

import pytest
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError
from pytest_django import DjangoCaptureOnCommitCallbacks

from superapp import doorbell

pytestmark = pytest.mark.django_db


class Broker:
    """Takes what is published, or is away."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, dict[str, Any]]] = []
        self.away: Exception | None = None
        self.asked = 0

    def send_task(self, name: str, *, kwargs: dict[str, Any], retry: bool, **_options: Any) -> None:
        self.asked += 1
        assert retry is False
        if self.away is not None:
            raise self.away
        self.messages.append((name, kwargs))


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    broker = Broker()
    monkeypatch.setattr(current_app, "send_task", broker.send_task)
    monkeypatch.setattr(doorbell, "_silent_until", 0.0)
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


def test_a_broker_that_refuses_connections_never_reaches_the_caller(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    monkeypatch.setattr(doorbell, "_silent_until", 0.0)
    before = doorbell.failures()
    with current_app.connection_for_write("redis://127.0.0.1:1/0") as nowhere:
        real = current_app.send_task
        monkeypatch.setattr(
            current_app, "send_task", lambda *args, **options: real(*args, connection=nowhere, **options)
        )
        with django_capture_on_commit_callbacks(execute=True):
            doorbell.ring("test.settle")
    assert doorbell.failures() == before + 1
