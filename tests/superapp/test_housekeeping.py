"""What is not kept for ever, and what is."""

from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.contrib.sessions.models import Session
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from superapp import clock, housekeeping, ids, jobs, outbox, policies
from superapp.models import IdempotencyKey, OutboxEvent, User
from tests.factories import a_person, an_operator, session_token_for
from tests.owners_hand import the_owners_hand

pytestmark = pytest.mark.django_db

DAYS = timedelta(days=1)
TOPIC = "test.housekeeping"


@outbox.handles(TOPIC)
def hear(payload: dict[str, Any]) -> None:
    """Hears."""


def an_event(*, age: timedelta, delivered: bool = True) -> OutboxEvent:
    event = OutboxEvent.objects.create(
        id=housekeeping.first_id_of(timezone.now() - age - timedelta(seconds=1)),
        topic=TOPIC,
        payload={},
        available_at=clock.now(),
        delivered_at=clock.now() if delivered else None,
    )
    with the_owners_hand():
        OutboxEvent.objects.filter(pk=event.pk).update(created_at=timezone.now() - age)
    return event


def a_sign_up(*, age: timedelta, **given: Any) -> User:
    person = User.objects.create_user(email=given.pop("email", None) or "x@superapp.example", **given)
    User.objects.filter(pk=person.pk).update(created_at=timezone.now() - age)
    return person


def test_delivered_events_go_after_their_time_and_undelivered_ones_never() -> None:
    old, undelivered, young = an_event(age=31 * DAYS), an_event(age=32 * DAYS, delivered=False), an_event(age=29 * DAYS)
    assert housekeeping.tidy() == 1
    assert set(OutboxEvent.objects.all()) == {undelivered, young}
    assert not OutboxEvent.objects.filter(pk=old.pk).exists()


def test_how_long_they_stay_is_a_policy_with_a_floor() -> None:
    an_event(age=3 * DAYS)
    young = an_event(age=timedelta(hours=12))
    policies.change(policy="superapp.outbox.kept_for", value=0)
    assert housekeeping.tidy() == 1
    assert OutboxEvent.objects.get() == young, "an event of today may still be looked into"


def test_they_go_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(7):
        an_event(age=31 * DAYS + timedelta(seconds=number))
    monkeypatch.setattr(housekeeping, "BATCH", 2)
    monkeypatch.setattr(housekeeping, "BATCHES", 3)
    assert housekeeping.tidy() == 6
    assert housekeeping.tidy() == 1
    assert housekeeping.tidy() == 0


def test_an_unfinished_sign_up_by_phone_or_e_mail_goes_after_its_time() -> None:
    by_phone = a_sign_up(age=8 * DAYS, email="a@superapp.example", pending_phone="+8613977553311")
    by_mail = a_sign_up(age=8 * DAYS, email="b@superapp.example")
    EmailAddress.objects.create(user=by_mail, email="b@superapp.example", verified=False, primary=True)
    young = a_sign_up(age=6 * DAYS, email="c@superapp.example", pending_phone="+8613977553312")
    assert housekeeping.tidy() == 2
    assert set(User.objects.all()) == {young}
    assert not User.objects.filter(pk=by_phone.pk).exists()


def test_nobody_goes_who_has_entered_a_code_has_signed_in_or_is_an_operator() -> None:
    confirmed = a_person()
    by_mail = a_person(email="d@superapp.example")
    changing = a_person()
    User.objects.filter(pk=changing.pk).update(pending_phone="+8613977553313")
    signed_in = a_sign_up(age=8 * DAYS, email="e@superapp.example", pending_phone="+8613977553314")
    User.objects.filter(pk=signed_in.pk).update(last_login=timezone.now())
    operator = an_operator()
    EmailAddress.objects.filter(user=operator).update(verified=False)
    User.objects.update(created_at=timezone.now() - 8 * DAYS)
    assert housekeeping.tidy() == 0
    assert set(User.objects.all()) == {confirmed, by_mail, changing, signed_in, operator}


def test_ended_sessions_go_and_others_stay() -> None:
    session_token_for(a_person())
    ended = Session.objects.get()
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    session_token_for(a_person())
    assert housekeeping.tidy() == 1
    assert Session.objects.exclude(pk=ended.pk).count() == 1


def test_idempotency_keys_stay_for_ever() -> None:
    person = a_person()
    IdempotencyKey.objects.create(user=person, operation="send", key="k", fingerprint=b"f")
    with the_owners_hand():
        IdempotencyKey.objects.update(created_at=timezone.now() - 3_650 * DAYS)
    assert housekeeping.tidy() == 0
    assert IdempotencyKey.objects.count() == 1


def test_an_id_tells_when_it_was_made() -> None:
    before = timezone.now() - timedelta(milliseconds=1)
    made = ids.uuid7()
    assert (
        housekeeping.first_id_of(before) <= made < housekeeping.first_id_of(timezone.now() + timedelta(milliseconds=1))
    )


def test_when_nothing_is_past_its_time_a_look_is_all_it_costs(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    clock.now()
    with django_assert_max_num_queries(12):
        assert jobs.run_here(next(job for job in jobs.all() if job.name == "tidy")) == 0
