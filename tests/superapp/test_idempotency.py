"""Exactly once under a key: what is stored, what is told again, what leaves no trace."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction
from psycopg import errors as pg

from superapp.errors import (
    DomainError,
    IdempotencyKeyReused,
    InvalidAmount,
    InvalidIdempotencyKey,
    RateLimited,
    Unavailable,
)
from superapp.idempotency import TRIES, Done, fingerprint, once
from superapp.ids import uuid7
from superapp.models import CalendarDay, IdempotencyKey, User
from superapp.money import money

pytestmark = pytest.mark.django_db


@dataclass(eq=False)
class TooMuch(DomainError):
    """A refusal by rule."""

    code = "TEST_TOO_MUCH"
    message = "Only {left} is left; ask for less."
    left: Decimal


@pytest.fixture
def person() -> User:
    return User.objects.create_user(phone="+8613800138000")


def an_effect(day: int = 1) -> Callable[[], dict[str, str]]:
    """Something that leaves a row behind, and fails when it is done twice."""

    def act() -> dict[str, str]:
        CalendarDay.objects.create(calendar="bank", day=datetime(2013, 7, day, tzinfo=UTC), is_open=True, reason="")
        return {"id": str(uuid7())}

    return act


def effects() -> int:
    return CalendarDay.objects.count()


def refuses(error: BaseException, *, after: Callable[[], object] = lambda: None) -> Callable[[], dict[str, str]]:
    def act() -> dict[str, str]:
        after()
        raise error

    return act


def must_not_run() -> dict[str, str]:
    raise AssertionError("this must not run")


def send(person: User, act: Callable[[], dict[str, str]], **changes: object) -> Done:
    wanted: dict[str, object] = {
        "user_id": person.pk,
        "operation": "send_money",
        "key": "k-1",
        "request": {"to": "Han Meimei", "amount": Decimal("10.00")},
        "act": act,
        **changes,
    }
    return once(**wanted)  # type: ignore[arg-type]


def test_a_request_sent_again_is_answered_as_the_first_time(person: User) -> None:
    first = send(person, an_effect())
    again = send(person, must_not_run)
    assert not first.replayed
    assert again == Done(answer=first.answer, replayed=True)
    assert effects() == 1


def test_a_key_used_for_another_request_is_refused_and_nothing_is_done(person: User) -> None:
    first = send(person, an_effect())
    with pytest.raises(IdempotencyKeyReused):
        send(person, must_not_run, request={"to": "Han Meimei", "amount": Decimal("10.01")})
    assert effects() == 1
    assert send(person, must_not_run).answer == first.answer


def test_a_key_is_one_persons_and_one_operations(person: User) -> None:
    other = User.objects.create_user(phone="+8613800138001")
    send(person, an_effect(1))
    assert not send(other, an_effect(2)).replayed
    assert not send(person, an_effect(3), operation="withdraw").replayed
    assert effects() == 3


def test_a_refusal_by_rule_is_stored_and_told_again_with_equal_facts(person: User) -> None:
    refusal = TooMuch(left=Decimal("0.50")).at("input", "amount")
    with pytest.raises(TooMuch) as first:
        send(person, refuses(refusal, after=an_effect()))
    with pytest.raises(TooMuch) as again:
        send(person, must_not_run)
    assert again.value == first.value == refusal
    assert again.value is not first.value
    assert effects() == 0


@pytest.mark.parametrize(
    "refusal",
    [InvalidAmount(reason="it is too large"), RateLimited(retry_at=datetime(2013, 7, 1, tzinfo=UTC))],
)
def test_malformed_input_and_rate_limits_leave_the_key_free(person: User, refusal: DomainError) -> None:
    with pytest.raises(type(refusal)):
        send(person, refuses(refusal, after=an_effect()))
    assert not IdempotencyKey.objects.exists()
    assert effects() == 0
    assert not send(person, an_effect()).replayed


def test_a_defect_rolls_everything_back_and_leaves_the_key_free(person: User) -> None:
    with pytest.raises(ZeroDivisionError):
        send(person, refuses(ZeroDivisionError(), after=an_effect()))
    assert not IdempotencyKey.objects.exists()
    assert effects() == 0


def test_an_error_of_our_own_sql_is_no_outage(person: User) -> None:
    send(person, an_effect())
    with pytest.raises(IntegrityError):
        send(person, an_effect(), key="k-2")
    assert not IdempotencyKey.objects.filter(key="k-2").exists()


def a_fault(cause: pg.Error) -> OperationalError:
    fault = OperationalError(str(cause))
    fault.__cause__ = cause
    return fault


@pytest.mark.parametrize("cause", [pg.DeadlockDetected(), pg.SerializationFailure()])
def test_a_deadlock_repeats_the_whole_transaction(person: User, cause: pg.Error) -> None:
    tries = 0

    def act() -> dict[str, str]:
        nonlocal tries
        tries += 1
        answer = an_effect()()
        if tries < TRIES:
            raise a_fault(cause)
        return answer

    assert not send(person, act).replayed
    assert tries == TRIES
    assert effects() == 1


def test_deadlocks_without_end_are_an_outage_and_leave_the_key_free(person: User) -> None:
    tries = 0

    def act() -> dict[str, str]:
        nonlocal tries
        tries += 1
        raise a_fault(pg.DeadlockDetected())

    with pytest.raises(Unavailable):
        send(person, act)
    assert tries == TRIES
    assert not IdempotencyKey.objects.exists()


@pytest.mark.parametrize(
    "cause",
    [pg.LockNotAvailable(), pg.QueryCanceled(), pg.AdminShutdown(), pg.DiskFull(), pg.TooManyConnections(), pg.Error()],
)
def test_what_lasts_is_an_outage_at_once(person: User, cause: pg.Error) -> None:
    tries = 0

    def act() -> dict[str, str]:
        nonlocal tries
        tries += 1
        raise a_fault(cause)

    with pytest.raises(Unavailable) as outage:
        send(person, act)
    assert tries == 1
    assert outage.value.retry_after_seconds >= 1
    assert not IdempotencyKey.objects.exists()


def test_whoever_may_not_is_stopped_before_anything_happens(person: User) -> None:
    with pytest.raises(TooMuch):
        send(person, must_not_run, authorise=refuses(TooMuch(left=Decimal(0))))
    assert not IdempotencyKey.objects.exists()


def test_a_decided_key_asks_for_no_pin_again(person: User) -> None:
    asked: list[str] = []
    send(person, an_effect(), authorise=lambda: asked.append("first"))
    assert send(person, must_not_run, authorise=lambda: asked.append("again")).replayed
    assert asked == ["first"]


def test_the_pin_is_asked_outside_the_transaction_that_acts(person: User) -> None:
    depth_in_test = len(connection.savepoint_ids)
    seen: dict[str, int] = {}

    def act() -> dict[str, str]:
        seen["act"] = len(connection.savepoint_ids)
        return {}

    send(person, act, authorise=lambda: seen.update(authorise=len(connection.savepoint_ids)))
    assert seen["authorise"] == depth_in_test
    assert seen["act"] > depth_in_test


def test_a_dry_run_answers_and_leaves_nothing_behind(person: User) -> None:
    asked: list[str] = []
    rung: list[str] = []

    def act() -> dict[str, str]:
        transaction.on_commit(lambda: rung.append("bell"))
        return an_effect()()

    done = send(person, act, dry_run=True, authorise=lambda: asked.append("pin"))
    assert done.answer["id"]
    assert asked == ["pin"]
    assert effects() == 0
    assert not IdempotencyKey.objects.exists()
    assert not any(hook[1].__name__ == "<lambda>" for hook in connection.run_on_commit)
    assert not send(person, an_effect()).replayed


def test_a_dry_run_is_refused_like_the_real_one_and_stores_no_refusal(person: User) -> None:
    with pytest.raises(TooMuch):
        send(person, refuses(TooMuch(left=Decimal(0)), after=an_effect()), dry_run=True)
    assert effects() == 0
    assert not IdempotencyKey.objects.exists()


@pytest.mark.parametrize("key", ["", "k" * 201, "k\n", "k\x00", "ключ", "k\x7f", "é", "１"])
def test_a_key_that_is_no_key_is_refused(person: User, key: str) -> None:
    with pytest.raises(InvalidIdempotencyKey):
        send(person, must_not_run, key=key)


@pytest.mark.parametrize("key", ["k", "k" * 200, "a b~!", "0198c3a0-5e1f-7b2a-9c4d-1f2e3d4c5b6a"])
def test_printable_keys_up_to_200_characters_are_taken(person: User, key: str) -> None:
    assert not send(person, an_effect(), key=key).replayed


def test_the_fingerprint_sees_what_is_asked_and_not_how_it_is_written() -> None:
    asked = fingerprint("send", {"a": Decimal("10.00"), "b": [1, None, True], "c": money("1", "CNY")})
    assert asked == fingerprint("send", {"c": money("1.00", "CNY"), "b": (1, None, True), "a": Decimal(10)})
    assert len(asked) == 32
    assert asked != fingerprint("send", {"a": Decimal("10.01"), "b": [1, None, True], "c": money("1", "CNY")})
    assert asked != fingerprint("send", {"a": Decimal("10.00"), "b": [1, None, True], "c": money("1", "USD")})
    assert asked != fingerprint("pay", {"a": Decimal("10.00"), "b": [1, None, True], "c": money("1", "CNY")})


def test_the_fingerprint_does_not_depend_on_secrets() -> None:
    assert fingerprint("send", {"to": "x", "pin": "123456"}) == fingerprint("send", {"to": "x", "pin": "654321"})
    assert fingerprint("send", {"in": {"payment_pin": "1"}}) == fingerprint("send", {"in": {}})


def test_a_float_has_no_fingerprint() -> None:
    with pytest.raises(TypeError, match="float"):
        fingerprint("send", {"amount": 10.0})


def test_ids_and_days_have_fingerprints() -> None:
    subject = uuid.UUID(int=7)
    assert fingerprint("x", {"id": subject}) == fingerprint("x", {"id": str(subject)})
    assert fingerprint("x", {"at": datetime(2013, 7, 1, tzinfo=UTC)}) != fingerprint("x", {"at": None})
