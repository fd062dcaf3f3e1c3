"""What becomes of an event whose delivery goes wrong in the worst way, and of one that commits late."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import structlog
from billiard.exceptions import SoftTimeLimitExceeded
from django.db import OperationalError, connection, transaction

from superapp import clock, outbox
from superapp.models import OutboxEvent
from tests.databases import TestDatabase
from tests.interleaving import actors
from tests.owners_hand import the_owners_hand

TOPIC = "test.goes_wrong"

heard: list[dict[str, Any]] = []


@outbox.handles(TOPIC)
def hear(payload: dict[str, Any]) -> None:
    """Does harm as the event says, or hears."""
    with connection.cursor() as cursor:
        match payload["harm"]:
            case "ends its session":
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
            case "closes its connection":
                connection.close()
            case "breaks its transaction":
                connection.set_rollback(True)
            case "takes too long for its worker":
                raise SoftTimeLimitExceeded
            case "takes too long for the database":
                cursor.execute("SET LOCAL statement_timeout = '10ms'")
                cursor.execute("SELECT pg_sleep(60)")
            case "wants to stop its worker":
                raise SystemExit
    heard.append(payload)


@pytest.fixture(autouse=True)
def _at_an_instant(committed_db: TestDatabase) -> Iterator[None]:
    heard.clear()
    with clock.stopped_at(clock.now()):
        yield


def emit(harm: str = "", *, at: datetime | None = None, **more: str) -> OutboxEvent:
    with transaction.atomic():
        return outbox.emit(TOPIC, {"harm": harm, **more}, available_at=at)


@pytest.mark.parametrize("harm", ["ends its session", "closes its connection", "takes too long for the database"])
def test_a_delivery_that_takes_its_connection_with_it_is_counted_and_put_off(harm: str) -> None:
    poison, next_one = emit(harm), emit(number="2")

    assert outbox.deliver_due() == 2

    poison.refresh_from_db()
    assert (poison.attempts, poison.delivered_at) == (1, None)
    assert poison.available_at == clock.now() + timedelta(seconds=1)
    assert poison.last_error
    assert heard[-1]["number"] == "2", "it holds up no other"
    next_one.refresh_from_db()
    assert next_one.delivered_at is not None
    assert outbox.deliver_due() == 0


def test_a_workers_time_limit_ends_the_task_and_the_event_is_put_off() -> None:
    slow, next_one = emit("takes too long for its worker"), emit()

    with pytest.raises(SoftTimeLimitExceeded):
        outbox.deliver_due()

    slow.refresh_from_db()
    assert (slow.attempts, slow.last_error) == (1, "SoftTimeLimitExceeded: SoftTimeLimitExceeded()")
    assert slow.available_at == clock.now() + timedelta(seconds=1)
    next_one.refresh_from_db()
    assert next_one.attempts == 0, "the task has ended"
    assert outbox.deliver_due() == 1


def test_a_worker_that_is_asked_to_stop_leaves_the_event_as_it_was() -> None:
    event = emit("wants to stop its worker")
    with pytest.raises(SystemExit):
        outbox.deliver_due()
    event.refresh_from_db()
    assert (event.attempts, event.last_error, event.delivered_at) == (0, "", None)


def test_an_event_of_a_topic_that_nobody_knows_any_more_is_put_off_and_kept() -> None:
    event, next_one = emit(), emit()
    with the_owners_hand():
        OutboxEvent.objects.filter(pk=event.pk).update(topic="test.removed_since")
    assert outbox.deliver_due() == 2
    event.refresh_from_db()
    assert (event.attempts, event.last_error) == (1, "KeyError: 'test.removed_since'")
    next_one.refresh_from_db()
    assert next_one.delivered_at is not None


def test_a_database_that_is_away_when_an_event_is_claimed_is_the_workers_own_fault_to_report(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    event = emit()

    def claim() -> None:
        raise OperationalError("away")

    monkeypatch.setattr(outbox, "_claim", claim)
    with pytest.raises(OperationalError):
        outbox.deliver_due()
    event.refresh_from_db()
    assert event.attempts == 0


def test_an_event_that_commits_after_later_ones_were_delivered_is_delivered_too() -> None:
    with actors(1) as (late,):
        long_ago = clock.now() - timedelta(hours=1)
        late.begin(lambda: emit(number="1", at=long_ago), stop_after="superapp_outboxevent")
        emit(number="2")
        assert outbox.deliver_due() == 1
        assert outbox.deliver_due() == 0
        late.go_on()
        late.answer()
        assert outbox.deliver_due() == 1
    assert [payload["number"] for payload in heard] == ["2", "1"]


def test_of_two_deliverers_at_one_event_one_delivers_it() -> None:
    emit(number="1")
    with actors(2) as (first, second):
        first.begin(outbox.deliver_due, stop_after="FOR UPDATE")
        assert second.does(outbox.deliver_due) == 0, "what another holds is passed over, not waited for"
        first.go_on()
        assert first.answer() == 1
    assert len(heard) == 1


def test_a_failure_noted_late_does_not_take_back_what_another_has_delivered() -> None:
    """A deliverer that lost its connection lost its lock with it: another may have delivered the event since."""
    event = emit()
    stale = OutboxEvent.objects.get(pk=event.pk)
    assert outbox.deliver_due() == 1
    outbox._put_off(stale, OSError("the line went dead"))
    event.refresh_from_db()
    assert event.delivered_at is not None
    assert (event.attempts, event.last_error) == (1, "")


def test_log_lines_of_a_delivery_name_the_request_that_wrote_the_event(monkeypatch: pytest.MonkeyPatch) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r-27"):
        event = emit()
    assert event.request_id == "r-27"
    seen: list[object] = []
    monkeypatch.setitem(outbox._handlers, TOPIC, lambda _: seen.append(structlog.contextvars.get_contextvars()))
    assert outbox.deliver_due() == 1
    assert seen == [{"event_id": str(event.pk), "request_id": "r-27"}]
