"""The outbox: written with what it tells of, delivered at least once, never given up."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from superapp import clock, outbox
from superapp.models import CalendarDay, OutboxEvent

pytestmark = pytest.mark.django_db

NOON = datetime(2013, 9, 19, 4, 0, tzinfo=UTC)
TOPIC = "test.something_happened"

heard: list[dict[str, Any]] = []
fails: list[Exception] = []


@outbox.handles(TOPIC)
def hear(payload: dict[str, Any]) -> None:
    """Fails as often as the test wants, leaving something behind each time, and then hears."""
    if fails:
        CalendarDay.objects.create(calendar="bank", day=NOON, is_open=True, reason="half done")
        raise fails.pop()
    heard.append(payload)


@pytest.fixture(autouse=True)
def _at_noon() -> Iterator[None]:
    heard.clear()
    fails.clear()
    with clock.stopped_at(NOON):
        yield


def test_what_was_emitted_is_delivered_once_and_marked() -> None:
    event = outbox.emit(TOPIC, {"order": "7"})
    assert outbox.deliver_due() == 1
    assert heard == [{"order": "7"}]
    event.refresh_from_db()
    assert (event.delivered_at, event.attempts, event.last_error) == (NOON, 1, "")
    assert outbox.deliver_due() == 0
    assert len(heard) == 1


def test_an_event_bears_the_number_of_its_transaction() -> None:
    event = outbox.emit(TOPIC, {})
    event.refresh_from_db()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()::text::bigint")
        assert event.tx == cursor.fetchone()[0]


def test_an_event_goes_with_the_transaction_it_tells_of() -> None:
    with transaction.atomic():
        outbox.emit(TOPIC, {})
        transaction.set_rollback(True)
    assert not OutboxEvent.objects.exists()


def test_nothing_is_delivered_before_it_is_available() -> None:
    outbox.emit(TOPIC, {}, available_at=NOON + timedelta(hours=2))
    assert outbox.deliver_due() == 0
    with clock.stopped_at(NOON + timedelta(hours=2)):
        assert outbox.deliver_due() == 1
    assert heard == [{}]


def test_a_delivery_that_fails_twice_is_tried_again_ever_later_and_succeeds() -> None:
    fails.extend([ValueError("the second time"), OSError("the first time")])
    event = outbox.emit(TOPIC, {"order": "7"})

    assert outbox.deliver_due() == 1
    event.refresh_from_db()
    assert (event.attempts, event.delivered_at, event.last_error) == (1, None, "OSError: the first time")
    assert event.available_at == NOON + timedelta(seconds=1)
    assert outbox.deliver_due() == 0

    with clock.stopped_at(NOON + timedelta(seconds=1)):
        assert outbox.deliver_due() == 1
    event.refresh_from_db()
    assert (event.attempts, event.delivered_at, event.last_error) == (2, None, "ValueError: the second time")
    assert event.available_at == NOON + timedelta(seconds=1 + 2)

    with clock.stopped_at(NOON + timedelta(seconds=3)):
        assert outbox.deliver_due() == 1
    event.refresh_from_db()
    assert (event.attempts, event.last_error) == (3, "")
    assert event.delivered_at is not None
    assert heard == [{"order": "7"}]
    assert not CalendarDay.objects.exists(), "what a failed delivery wrote must not stay"


def test_one_that_fails_does_not_hold_up_the_others() -> None:
    fails.append(OSError())
    for number in range(3):
        outbox.emit(TOPIC, {"number": number})
    assert outbox.deliver_due() == 3
    assert len(heard) == 2


def test_no_more_is_delivered_than_was_asked_for() -> None:
    for number in range(5):
        outbox.emit(TOPIC, {"number": number})
    assert outbox.deliver_due(limit=2) == 2
    assert outbox.deliver_due(limit=10) == 3


def test_the_oldest_due_comes_first() -> None:
    outbox.emit(TOPIC, {"number": 2}, available_at=NOON - timedelta(seconds=1))
    outbox.emit(TOPIC, {"number": 1}, available_at=NOON - timedelta(seconds=2))
    outbox.deliver_due()
    assert [payload["number"] for payload in heard] == [1, 2]


def test_an_event_that_nobody_would_hear_is_refused() -> None:
    with pytest.raises(LookupError, match=r"test\.unheard_of"):
        outbox.emit("test.unheard_of", {})


def test_a_topic_has_one_handler() -> None:
    with pytest.raises(ValueError, match="already"):

        @outbox.handles(TOPIC)
        def also_hear(payload: dict[str, Any]) -> None:
            """Would hear the same."""

    assert TOPIC in outbox.topics()


def test_the_wait_grows_and_stays_bounded() -> None:
    waits = [outbox.retry_delay(attempts).total_seconds() for attempts in range(1, 13)]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]
    assert outbox.retry_delay(1_000_000) == timedelta(minutes=15)
