"""Several workers at the outbox and at one run's batches: they share the work, and never do it twice."""

import threading
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import pytest
from django.db import connections, transaction

from superapp import outbox, runs
from superapp.models import OutboxEvent, Run, RunBatch
from tests.databases import TestDatabase
from tests.waiting import PATIENCE_SECONDS

WORKERS = 4
TOPIC = "test.shared_work"

heard: Counter[int] = Counter()
_holds_first: tuple[threading.Event, threading.Event] | None = None


@outbox.handles(TOPIC)
def hear(payload: dict[str, Any]) -> None:
    """Counts; holds on to number 0 as long as the test wants."""
    if payload["number"] == 0 and _holds_first is not None:
        holding, may_go = _holds_first
        holding.set()
        assert may_go.wait(PATIENCE_SECONDS)
    heard[payload["number"]] += 1


@pytest.fixture(autouse=True)
def _nothing_heard(committed_db: TestDatabase) -> None:
    heard.clear()


def in_a_thread(work: Any) -> Any:
    try:
        return work()
    finally:
        connections.close_all()


def emit(count: int) -> None:
    with transaction.atomic():
        for number in range(count):
            outbox.emit(TOPIC, {"number": number})


def test_workers_share_the_outbox_and_deliver_each_event_once() -> None:
    emit(40)
    with ThreadPoolExecutor(WORKERS) as workers:
        tried = list(workers.map(lambda _: in_a_thread(outbox.deliver_due), range(WORKERS)))
    assert sum(tried) == 40
    assert heard == Counter(range(40))
    assert not OutboxEvent.objects.filter(delivered_at__isnull=True).exists()


def test_an_event_that_one_worker_holds_does_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    holding, may_go = threading.Event(), threading.Event()
    monkeypatch.setitem(globals(), "_holds_first", (holding, may_go))
    emit(3)
    with ThreadPoolExecutor(1) as worker:
        slow = worker.submit(in_a_thread, lambda: outbox.deliver_due(limit=1))
        assert holding.wait(PATIENCE_SECONDS)
        assert outbox.deliver_due() == 2
        assert heard == Counter([1, 2])
        may_go.set()
        assert slow.result(PATIENCE_SECONDS) == 1
    assert heard == Counter(range(3))


def test_workers_share_a_runs_batches_and_one_of_them_moves_it_on() -> None:
    run = runs.open_run("test.income", "MIFUND", date(2013, 9, 18))
    with transaction.atomic():
        runs.plan_batches(run, [(uuid.UUID(int=n), uuid.UUID(int=n)) for n in range(30)])
        runs.advance(run, Run.State.OPEN, Run.State.COUNTING)

    def work() -> tuple[int, bool]:
        counted = 0
        while True:
            with transaction.atomic():
                batch = runs.claim_batch(run.pk, RunBatch.State.PLANNED)
                if batch is None:
                    break
                runs.finish_batch(batch, RunBatch.State.COUNTED, {"entitled": "0.01"})
                counted += 1
        mine = Run.objects.get(pk=run.pk)
        moved = runs.all_batches_past(mine, RunBatch.State.PLANNED) and runs.advance(
            mine, Run.State.COUNTING, Run.State.POSTING
        )
        return counted, moved

    with ThreadPoolExecutor(WORKERS) as workers:
        results = list(workers.map(lambda _: in_a_thread(work), range(WORKERS)))

    assert sum(counted for counted, _ in results) == 30
    assert sum(moved for _, moved in results) == 1
    assert runs.progress(run).counted == 30
    assert str(runs.total(run, "entitled")) == "0.30"
    assert set(RunBatch.objects.values_list("attempts", flat=True)) == {1}


def test_a_batch_whose_worker_died_is_taken_up_by_the_next_one() -> None:
    run = runs.open_run("test.income", "MIFUND", date(2013, 9, 18))
    with transaction.atomic():
        runs.plan_batches(run, [(uuid.UUID(int=1), uuid.UUID(int=2))])
        runs.advance(run, Run.State.OPEN, Run.State.COUNTING)
    with transaction.atomic():
        batch = runs.claim_batch(run.pk, RunBatch.State.PLANNED)
        assert batch is not None
        assert in_thread_claim(run) is None, "held by the first worker"
        runs.finish_batch(batch, RunBatch.State.COUNTED, {"entitled": "9.99"})
        transaction.set_rollback(True)  # the worker is gone before its commit
    again = in_thread_claim(run)
    assert again is not None
    assert (again.state, again.figures, again.attempts) == (RunBatch.State.PLANNED, {}, 0)


def in_thread_claim(run: Run) -> RunBatch | None:
    def claim() -> RunBatch | None:
        with transaction.atomic():
            return runs.claim_batch(run.pk, RunBatch.State.PLANNED)

    with ThreadPoolExecutor(1) as worker:
        found: RunBatch | None = worker.submit(in_a_thread, claim).result(PATIENCE_SECONDS)
        return found


def test_an_event_outside_of_a_transaction_is_refused() -> None:
    with pytest.raises(transaction.TransactionManagementError):
        outbox.emit(TOPIC, {"number": 1})
    assert not OutboxEvent.objects.exists()
