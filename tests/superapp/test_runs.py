"""Runs: opened once, worked off in batches, moved by whoever comes first."""

import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.db import transaction

from superapp import clock, runs
from superapp.models import Run, RunBatch

pytestmark = pytest.mark.django_db

NOON = datetime(2013, 9, 19, 4, 0, tzinfo=UTC)
DAY = date(2013, 9, 18)
S, B = Run.State, RunBatch.State


@pytest.fixture(autouse=True)
def _at_noon() -> Iterator[None]:
    with clock.stopped_at(NOON):
        yield


def ranges(count: int) -> list[tuple[uuid.UUID, uuid.UUID]]:
    return [(uuid.UUID(int=10 * number), uuid.UUID(int=10 * number + 9)) for number in range(count)]


def a_run_in(state: Run.State, batches: int = 3) -> Run:
    run = runs.open_run("test.income", "MIFUND", DAY)
    runs.plan_batches(run, ranges(batches))
    Run.objects.filter(pk=run.pk).update(state=state)
    run.refresh_from_db()
    return run


def test_a_run_is_opened_once_per_kind_scope_day_and_revision() -> None:
    run = runs.open_run("test.income", "MIFUND", DAY, figures={"yield": "1.5787"})
    assert (run.state, run.opened_at, run.figures) == (S.OPEN, NOON, {"yield": "1.5787"})
    assert runs.open_run("test.income", "MIFUND", DAY, figures={"yield": "9"}).pk == run.pk
    assert runs.open_run("test.income", "MIFUND", DAY, revision=1).pk != run.pk
    assert Run.objects.count() == 2


def test_batches_are_planned_in_order_and_planning_again_adds_nothing() -> None:
    run = runs.open_run("test.income", "MIFUND", DAY)
    assert runs.plan_batches(run, ranges(3)) == 3
    assert runs.plan_batches(run, ranges(3)) == 3
    assert [(batch.position, batch.low, batch.high) for batch in run.batches.all()] == [
        (position, low, high) for position, (low, high) in enumerate(ranges(3))
    ]


def test_a_run_is_carried_out_from_plan_to_close() -> None:
    run = runs.open_run("test.income", "MIFUND", DAY)
    with transaction.atomic():
        runs.plan_batches(run, ranges(2))
        assert runs.advance(run, S.OPEN, S.COUNTING)
    assert runs.progress(run) == runs.Progress(done=0, total=2, counted=0)

    for state, following in ((B.PLANNED, B.COUNTED), (B.COUNTED, B.POSTED)):
        for number in range(2):
            with transaction.atomic():
                batch = runs.claim_batch(run.pk, state)
                assert batch is not None
                assert batch.position == number
                runs.finish_batch(batch, following, {f"paid_{following}": f"{number}.01"})
        assert runs.claim_batch(run.pk, state) is None
        assert runs.all_batches_past(run, state)
        assert runs.advance(run, S(run.state), S.POSTING if state == B.PLANNED else S.CLOSED, {state: "done"})

    assert runs.progress(run) == runs.Progress(done=2, total=2, counted=2)
    assert (run.state, run.closed_at) == (S.CLOSED, NOON)
    assert run.figures == {"planned": "done", "counted": "done"}
    assert runs.total(run, "paid_posted") == Decimal("1.02")
    assert runs.total(run, "never written") == 0
    last = RunBatch.objects.get(run=run, position=1)
    assert (last.attempts, last.counted_at, last.posted_at) == (2, NOON, NOON)
    assert last.figures == {"paid_counted": "1.01", "paid_posted": "1.01"}


def test_of_two_that_move_a_run_one_does() -> None:
    run = a_run_in(S.OPEN)
    stale = Run.objects.get(pk=run.pk)
    assert runs.advance(run, S.OPEN, S.COUNTING)
    assert not runs.advance(stale, S.OPEN, S.COUNTING)
    assert stale.state == S.COUNTING


@pytest.mark.parametrize(
    ("from_state", "to_state"),
    [(S.OPEN, S.POSTING), (S.OPEN, S.CLOSED), (S.CLOSED, S.POSTING), (S.POSTING, S.COUNTING), (S.STOPPED, S.CLOSED)],
)
def test_a_move_that_does_not_exist_is_refused(from_state: Run.State, to_state: Run.State) -> None:
    run = a_run_in(from_state)
    with pytest.raises(ValueError, match="does not go"):
        runs.advance(run, from_state, to_state)
    run.refresh_from_db()
    assert run.state == from_state


def test_a_batch_is_worked_only_in_its_runs_right_state() -> None:
    run = a_run_in(S.OPEN)
    assert runs.claim_batch(run.pk, B.PLANNED) is None
    runs.advance(run, S.OPEN, S.COUNTING)
    assert runs.claim_batch(run.pk, B.PLANNED) is not None
    assert runs.claim_batch(run.pk, B.COUNTED) is None


def test_a_stopped_run_says_why_and_is_left_alone_until_it_is_mended() -> None:
    run = a_run_in(S.COUNTING)
    assert runs.stop(run, "counted 100.01, entitled 100.00")
    assert (run.state, run.fault) == (S.STOPPED, "counted 100.01, entitled 100.00")
    assert runs.claim_batch(run.pk, B.PLANNED) is None
    assert not runs.unfinished().exists()
    assert not runs.stop(run, "again")
    assert run.fault == "counted 100.01, entitled 100.00"
    assert runs.advance(run, S.STOPPED, S.COUNTING)
    assert run.fault == ""
    assert runs.claim_batch(run.pk, B.PLANNED) is not None


def test_a_closed_run_cannot_be_stopped() -> None:
    run = a_run_in(S.CLOSED)
    assert not runs.stop(run, "too late")
    assert run.state == S.CLOSED


def test_a_batch_goes_one_step_at_a_time() -> None:
    batch = runs.claim_batch(a_run_in(S.COUNTING).pk, B.PLANNED)
    assert batch is not None
    with pytest.raises(ValueError, match="does not go"):
        runs.finish_batch(batch, B.POSTED)


def test_a_batch_that_was_moved_by_another_is_not_finished_again() -> None:
    batch = runs.claim_batch(a_run_in(S.COUNTING).pk, B.PLANNED)
    assert batch is not None
    RunBatch.objects.filter(pk=batch.pk).update(state=B.COUNTED)
    with pytest.raises(RuntimeError, match="moved on"):
        runs.finish_batch(batch, B.COUNTED, {"paid": "1.00"})
    assert RunBatch.objects.get(pk=batch.pk).figures == {}


def test_waiting_ends_when_the_last_run_is_closed() -> None:
    run = a_run_in(S.POSTING)
    steps = iter([1, 1])

    def work() -> int:
        done = next(steps, 0)
        if not done:
            Run.objects.filter(pk=run.pk).update(state=S.CLOSED)
        return done

    runs.wait_until_closed(deadline_seconds=600, work=work)
    assert not runs.unfinished().exists()


def test_waiting_for_what_never_moves_is_given_up_and_names_it() -> None:
    run = a_run_in(S.POSTING)
    with pytest.raises(runs.RunsStuck, match=rf"{run} \(posting, 0 of 3\)"):
        runs.wait_until_closed(deadline_seconds=0.1)
