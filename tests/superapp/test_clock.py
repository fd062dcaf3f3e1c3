"""The business clock: moved in a sandbox, left alone in production."""

import threading
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from superapp import clock, installation
from superapp.errors import ClockCannotTravel
from superapp.models import Installation
from tests.owners_hand import the_owners_hand
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db

A_MOMENT = timedelta(minutes=10)
"""What no test takes."""
NEW_YEAR = datetime(2040, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _a_sandbox() -> None:
    installation.settle()
    clock.forget()


def test_without_a_journey_the_clock_shows_the_time() -> None:
    assert abs(clock.now() - timezone.now()) < A_MOMENT
    assert clock.now().utcoffset() == timedelta()


def test_after_a_journey_the_clock_runs_on_from_there() -> None:
    clock.travel(NEW_YEAR)
    arrived = clock.now()
    assert NEW_YEAR <= arrived < NEW_YEAR + A_MOMENT
    wait_until(lambda: clock.now() > arrived, what="the clock going on")


def test_the_distance_is_read_once_per_unit_of_work(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(1):
        clock.now()
        clock.today()
    clock.forget()
    with django_assert_num_queries(1):
        clock.now()


def test_a_request_begins_a_unit_of_work(client: Client) -> None:
    clock.now()
    Installation.objects.update(clock_offset=timedelta(days=1000))
    assert clock.now() - timezone.now() < A_MOMENT
    client.get("/no-such-page")
    assert clock.now() - timezone.now() > timedelta(days=999)


def test_a_distance_known_to_one_thread_is_not_another_ones() -> None:
    clock.now()
    seen: list[object] = []

    def look() -> None:
        with clock.stopped_at(NEW_YEAR):
            seen.append(clock.now())

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [NEW_YEAR]
    assert clock.now() < NEW_YEAR


def test_the_clock_never_goes_back() -> None:
    clock.travel(NEW_YEAR)
    with pytest.raises(ClockCannotTravel, match="forward"):
        clock.travel(NEW_YEAR - timedelta(days=1))
    assert clock.now() >= NEW_YEAR


def test_of_two_that_travel_at_once_the_nearer_one_does_not_take_the_clock_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked = clock.now

    def now_and_somebody_else_travels() -> datetime:
        here = looked()
        Installation.objects.update(clock_offset=NEW_YEAR - timezone.now())
        return here

    monkeypatch.setattr(clock, "now", now_and_somebody_else_travels)
    with pytest.raises(ClockCannotTravel, match="farther"):
        clock.travel(NEW_YEAR - timedelta(days=1))
    monkeypatch.undo()
    assert clock.now() >= NEW_YEAR


def test_an_instant_without_a_zone_is_no_instant() -> None:
    with pytest.raises(ClockCannotTravel, match="zone"):
        clock.travel(datetime(2040, 1, 1))  # noqa: DTZ001  that is the point


def test_in_production_the_clock_stands_where_time_stands_and_asks_nobody(
    settings: Settings, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    Installation.objects.update(clock_offset=timedelta(days=1000))
    settings.SUPERAPP_SANDBOX = False
    with django_assert_num_queries(0):
        assert abs(clock.now() - timezone.now()) < A_MOMENT
    with pytest.raises(ClockCannotTravel, match="production"):
        clock.travel(NEW_YEAR)
    with pytest.raises(ClockCannotTravel, match="production"), clock.stopped_at(NEW_YEAR):
        pass
    assert Installation.objects.get().clock_offset == timedelta(days=1000)


def test_a_database_that_is_not_a_sandboxs_does_not_travel() -> None:
    with the_owners_hand():
        Installation.objects.update(mode="production", clock_offset=None)
    with pytest.raises(ClockCannotTravel, match="not a sandbox"):
        clock.travel(NEW_YEAR)


def test_a_business_day_begins_at_midnight_in_its_zone() -> None:
    assert clock.start_of(date(2013, 9, 19)) == datetime(2013, 9, 18, 16, 0, tzinfo=UTC)
    assert clock.start_of(date(2013, 9, 19), ZoneInfo("Europe/Rome")) == datetime(2013, 9, 18, 22, 0, tzinfo=UTC)
    with clock.stopped_at(datetime(2013, 9, 18, 16, 0, tzinfo=UTC)):
        assert clock.today() == date(2013, 9, 19)
        assert clock.today(ZoneInfo("UTC")) == date(2013, 9, 18)
    with clock.stopped_at(datetime(2013, 9, 18, 15, 59, 59, 999999, tzinfo=UTC)):
        assert clock.today() == date(2013, 9, 18)
