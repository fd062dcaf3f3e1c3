"""Operators at once, and what they do while requests and workers are at it: policies planned, runs stopped."""

import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import transaction

from superapp import clock, policies, runs
from superapp.errors import PolicyRefused
from superapp.models import PolicyVersion, Run, RunBatch
from superapp.policy_types import Count
from tests.databases import TestDatabase
from tests.interleaving import actors

NOON = datetime(2013, 9, 19, 4, 0, tzinfo=UTC)
TOMORROW = NOON + timedelta(days=1)
S, B = Run.State, RunBatch.State

SEATS = policies.define("test.seats", type=Count(), default=3, doc="How many there are.")


@pytest.fixture(autouse=True)
def _at_noon(committed_db: TestDatabase) -> Iterator[None]:
    with clock.stopped_at(NOON):
        yield


def plan(value: int) -> PolicyVersion:
    with clock.stopped_at(NOON):
        return policies.change(policy="test.seats", value=value, effective_from=TOMORROW)


def test_of_two_operators_who_plan_the_same_instant_the_second_is_refused() -> None:
    with actors(2) as (first, second):
        first.begin(lambda: plan(5), stop_after="INSERT INTO")
        second.begin(lambda: plan(8))
        second.waits_for(first)
        first.go_on()
        first.answer()
        with pytest.raises(PolicyRefused, match="same instant"):
            second.answer()
    assert SEATS.at(TOMORROW).value == 5
    assert PolicyVersion.objects.count() == 1


def test_a_version_rules_for_the_next_request_once_it_is_committed_and_not_before() -> None:
    def seats() -> int:
        with clock.stopped_at(TOMORROW):
            clock.forget()
            return SEATS.now().value

    with actors(2) as (operator, request):
        operator.begin(lambda: plan(5), stop_after="INSERT INTO")
        assert request.does(seats) == 3, "not committed yet, and not waited for"
        operator.go_on()
        operator.answer()
        assert request.does(seats) == 5


def test_versions_of_a_policy_that_the_code_no_longer_knows_are_left_alone() -> None:
    PolicyVersion.objects.create(policy="test.removed_since", effective_from=NOON, value={"any": "thing"})
    clock.forget()
    assert SEATS.now().value == 3
    with pytest.raises(PolicyRefused, match="no installed app"):
        policies.named("test.removed_since")


def test_a_value_put_in_by_hand_that_the_type_does_not_allow_decides_nothing() -> None:
    """Fails closed: neither the default nor the version before it rules in its place."""
    plan(5)
    PolicyVersion.objects.create(policy="test.seats", effective_from=TOMORROW + timedelta(days=1), value="many")
    clock.forget()
    assert SEATS.at(TOMORROW).value == 5
    with pytest.raises(ValueError, match="whole number"):
        SEATS.at(TOMORROW + timedelta(days=1))


def a_run() -> Run:
    run = runs.open_run("test.income", "MIFUND", date(2013, 9, 18))
    runs.plan_batches(run, [(uuid.UUID(int=n), uuid.UUID(int=n)) for n in range(3)])
    runs.advance(run, S.OPEN, S.COUNTING)
    return run


def test_of_two_that_open_a_run_at_once_both_get_the_one() -> None:
    def open_it() -> uuid.UUID:
        return runs.open_run("test.income", "MIFUND", date(2013, 9, 18)).pk

    with actors(2) as (first, second):
        first.begin(open_it, stop_after="INSERT INTO")
        second.begin(open_it)
        second.waits_for(first)
        first.go_on()
        assert first.answer() == second.answer()
    assert Run.objects.count() == 1


def test_a_run_stopped_while_a_batch_is_worked_on_keeps_that_batch_and_gives_out_no_other() -> None:
    run = a_run()

    def work() -> None:
        with transaction.atomic():
            batch = runs.claim_batch(run.pk, B.PLANNED)
            assert batch is not None
            runs.finish_batch(batch, B.COUNTED, {"paid": "1.00"})

    with actors(1) as (worker,):
        worker.begin(work, stop_after="FOR NO KEY UPDATE")
        assert runs.stop(run, "a figure did not agree"), "stopping waits for no batch"
        worker.go_on()
        worker.answer()
    assert runs.progress(run) == runs.Progress(done=0, total=3, counted=1)
    with transaction.atomic():
        assert runs.claim_batch(run.pk, B.PLANNED) is None
    assert not runs.advance(run, S.COUNTING, S.POSTING), "no worker moves on what was stopped"
    assert run.fault == "a figure did not agree"

    assert runs.advance(run, S.STOPPED, S.COUNTING), "mended by an operator"
    work()
    assert runs.progress(run).counted == 2


def test_a_run_that_is_stopped_while_it_closes_is_one_or_the_other() -> None:
    run = a_run()
    runs.advance(run, S.COUNTING, S.POSTING)
    stale = Run.objects.get(pk=run.pk)
    with actors(2) as (closing, stopping):
        closing.begin(lambda: runs.advance(run, S.POSTING, S.CLOSED), stop_after="FOR NO KEY UPDATE")
        stopping.begin(lambda: runs.stop(stale, "too late"))
        stopping.waits_for(closing)
        closing.go_on()
        assert closing.answer()
        assert not stopping.answer()
    run.refresh_from_db()
    assert (run.state, run.fault) == (S.CLOSED, "")
