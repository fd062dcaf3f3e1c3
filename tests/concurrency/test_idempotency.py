"""The same key from many sides at once, on real connections, and answers that were lost."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, close_old_connections, connection, connections, transaction

from superapp import idempotency
from superapp.errors import IdempotencyKeyReused, NotFound, Unavailable
from superapp.idempotency import Done, once
from superapp.ids import uuid7
from superapp.models import CalendarDay, IdempotencyKey, User
from tests.databases import TestDatabase
from tests.waiting import PATIENCE_SECONDS, wait_until

CALLERS = 50


@pytest.fixture
def person(committed_db: TestDatabase) -> User:
    return User.objects.create_user(phone="+8613800138000")


def pay_once(person: User, *, meanwhile: Callable[[], object] = lambda: None, day: int = 1) -> Done:
    """One effect that the database would refuse to take twice."""

    def act() -> dict[str, str]:
        meanwhile()
        CalendarDay.objects.create(calendar="bank", day=date(2013, 7, day), is_open=True, reason="paid")
        return {"id": str(uuid7())}

    try:
        return once(user_id=person.pk, operation="send_money", key="k-1", request={"amount": "10.00"}, act=act)
    finally:
        if threading.current_thread() is not threading.main_thread():
            connections.close_all()


def test_the_same_key_from_fifty_sides_at_once_has_one_effect_and_one_answer(person: User) -> None:
    start = threading.Barrier(CALLERS)

    def call(_number: int) -> Done:
        start.wait(PATIENCE_SECONDS)
        return pay_once(person)

    with ThreadPoolExecutor(CALLERS) as callers:
        answers = list(callers.map(call, range(CALLERS)))

    assert len({done.answer["id"] for done in answers}) == 1
    assert sorted(done.replayed for done in answers) == [False] + [True] * (CALLERS - 1)
    assert CalendarDay.objects.count() == 1
    assert IdempotencyKey.objects.count() == 1


def waiting_for_locks() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE NOT granted"
            " AND pid IN (SELECT pid FROM pg_stat_activity WHERE datname = current_database())"
        )
        row = cursor.fetchone()
    return int(row[0])


def test_a_duplicate_waits_for_the_first_and_gets_its_answer(person: User) -> None:
    acting, may_finish = threading.Event(), threading.Event()

    def first_act() -> None:
        acting.set()
        assert may_finish.wait(PATIENCE_SECONDS)

    with ThreadPoolExecutor(2) as callers:
        first = callers.submit(pay_once, person, meanwhile=first_act)
        assert acting.wait(PATIENCE_SECONDS)
        second = callers.submit(pay_once, person)
        wait_until(lambda: waiting_for_locks() == 1, what="the second one at the key")
        may_finish.set()
        assert first.result(PATIENCE_SECONDS) == Done(answer=second.result(PATIENCE_SECONDS).answer, replayed=False)
        assert second.result().replayed
    assert CalendarDay.objects.count() == 1


def test_a_duplicate_acts_itself_when_the_first_one_fails(person: User) -> None:
    acting, may_fail = threading.Event(), threading.Event()

    def first_act() -> None:
        acting.set()
        assert may_fail.wait(PATIENCE_SECONDS)
        raise ZeroDivisionError

    with ThreadPoolExecutor(2) as callers:
        first = callers.submit(pay_once, person, meanwhile=first_act)
        assert acting.wait(PATIENCE_SECONDS)
        second = callers.submit(pay_once, person)
        wait_until(lambda: waiting_for_locks() == 1, what="the second one at the key")
        may_fail.set()
        with pytest.raises(ZeroDivisionError):
            first.result(PATIENCE_SECONDS)
        assert not second.result(PATIENCE_SECONDS).replayed
    assert CalendarDay.objects.count() == 1


def meanwhile_at_the_storing_of_a_refusal(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Lets something happen between the rollback of what was refused and the statement that stores the refusal."""
    insert = idempotency._Deciding._insert

    def after_it(deciding: idempotency._Deciding, *, refusal: str, answer: Mapping[str, Any]) -> int | None:
        if refusal:
            monkeypatch.setattr(idempotency._Deciding, "_insert", insert)
            happens()
        return insert(deciding, refusal=refusal, answer=answer)

    monkeypatch.setattr(idempotency._Deciding, "_insert", after_it)


def refuse() -> None:
    raise NotFound(what="rich uncle")


def test_a_duplicate_that_succeeds_before_a_refusal_is_stored_is_the_one_outcome(
    person: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ThreadPoolExecutor(1) as callers:
        duplicates: list[Done] = []
        meanwhile_at_the_storing_of_a_refusal(
            monkeypatch, lambda: duplicates.append(callers.submit(pay_once, person).result(PATIENCE_SECONDS))
        )
        answer = pay_once(person, meanwhile=refuse)
    assert [done.answer for done in duplicates] == [answer.answer]
    assert answer.replayed
    assert CalendarDay.objects.count() == IdempotencyKey.objects.filter(refusal="").count() == 1


def test_of_two_refusals_of_one_key_both_are_told_the_one_that_was_stored(
    person: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse_otherwise() -> None:
        raise NotFound(what="poor nephew")

    def duplicate() -> None:
        with ThreadPoolExecutor(1) as callers, pytest.raises(NotFound, match="poor nephew"):
            callers.submit(pay_once, person, meanwhile=refuse_otherwise).result(PATIENCE_SECONDS)

    meanwhile_at_the_storing_of_a_refusal(monkeypatch, duplicate)
    for _ in "ab":
        with pytest.raises(NotFound, match="poor nephew"):
            pay_once(person, meanwhile=refuse)
    assert CalendarDay.objects.count() == 0
    assert IdempotencyKey.objects.count() == 1


def test_a_connection_lost_before_a_refusal_is_stored_is_a_fault_and_the_key_decides_anew(
    person: User, monkeypatch: pytest.MonkeyPatch, committed_db: TestDatabase
) -> None:
    def lose() -> None:
        with psycopg.connect(committed_db.url, autocommit=True) as owner:
            owner.execute("SELECT pg_terminate_backend(%s, 60000)", [connection.connection.info.backend_pid])

    meanwhile_at_the_storing_of_a_refusal(monkeypatch, lose)
    with pytest.raises(Unavailable):
        pay_once(person, meanwhile=refuse)
    close_old_connections()
    assert IdempotencyKey.objects.count() == 0
    assert not pay_once(person).replayed
    with pytest.raises(IdempotencyKeyReused):
        once(user_id=person.pk, operation="send_money", key="k-1", request={"amount": "11.00"}, act=dict)
    assert CalendarDay.objects.count() == 1


def test_a_duplicate_that_waits_too_long_is_told_to_come_back_and_the_key_is_untouched(person: User) -> None:
    acting, may_finish = threading.Event(), threading.Event()

    def first_act() -> None:
        acting.set()
        assert may_finish.wait(PATIENCE_SECONDS)

    with ThreadPoolExecutor(1) as callers:
        first = callers.submit(pay_once, person, meanwhile=first_act)
        assert acting.wait(PATIENCE_SECONDS)
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '100ms'")
        with pytest.raises(Unavailable) as outage:
            pay_once(person)
        assert outage.value.cause == "55P03"
        assert not IdempotencyKey.objects.exists()
        may_finish.set()
        answer = first.result(PATIENCE_SECONDS).answer
    assert pay_once(person) == Done(answer=answer, replayed=True)


def test_when_the_answer_to_commit_is_lost_a_retry_returns_the_first_result(
    person: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = connection.connection.commit

    def commit_and_lose_the_answer() -> None:
        commit()
        connection.connection.close()
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as lossy:
        lossy.setattr(connection, "_commit", commit_and_lose_the_answer)
        with pytest.raises(Unavailable):
            pay_once(person)
    connection.close()

    stored = IdempotencyKey.objects.get()
    assert pay_once(person) == Done(answer=stored.answer, replayed=True)
    assert CalendarDay.objects.count() == 1


def test_when_the_connection_is_lost_before_commit_nothing_happened_and_the_key_is_free(person: User) -> None:
    def lose_the_connection() -> None:
        with connection.cursor() as cursor:
            cursor.execute("RESET ROLE")  # the site's role may not end sessions
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(Unavailable):
        pay_once(person, meanwhile=lose_the_connection)
    close_old_connections()
    assert not IdempotencyKey.objects.exists()
    assert not CalendarDay.objects.exists()
    assert not pay_once(person).replayed


def test_a_request_inside_a_transaction_is_refused_for_it_would_not_be_durable(person: User) -> None:
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        pay_once(person)
    assert not CalendarDay.objects.exists()
