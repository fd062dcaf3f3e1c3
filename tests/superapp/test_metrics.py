"""Figures for operators: what a scrape shows, and what it may cost."""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import OperationalError, ProgrammingError, connection, transaction
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from superapp import clock, counters, faults, metric_files, metrics, outbox, runs
from superapp.models import OutboxEvent, Run
from tests.databases import CHECKOUT, TestDatabase
from tests.owners_hand import the_owners_hand
from tests.waiting import PATIENCE_SECONDS

TOPIC = "test.metered"

Figures = dict[str, dict[tuple[str, ...], float]]


@pytest.fixture(autouse=True)
def _all_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scrape waits for the database, however busy the machine is."""
    monkeypatch.setattr(metrics, "SCRAPE_SECONDS", PATIENCE_SECONDS)


@outbox.handles(TOPIC)
def hear(payload: dict[str, str]) -> None:
    """Fails when it is told to."""
    if payload.get("fail"):
        raise ValueError("told to")


def figures() -> Figures:
    """The page as Prometheus reads it: values by name and by labels' values."""
    found: Figures = {}
    for family in text_string_to_metric_families(metrics.page().decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[values_of(sample)] = sample.value
    return found


def values_of(sample: Sample) -> tuple[str, ...]:
    """The labels' values, in the order of the labels' names."""
    return tuple(value for _, value in sorted(sample.labels.items()))


@pytest.mark.django_db
def test_waiting_work_shows_how_much_and_since_when() -> None:
    before = figures()
    assert before["superapp_pending"]["outbox", "undelivered"] == 0
    assert before["superapp_oldest_pending_seconds"]["outbox", "undelivered"] == 0
    now = clock.now()
    outbox.emit(TOPIC, {}, available_at=now - timedelta(seconds=90))
    outbox.emit(TOPIC, {}, available_at=now - timedelta(seconds=30))
    outbox.emit(TOPIC, {}, available_at=now + timedelta(hours=2))

    with clock.stopped_at(now):
        after = figures()

    assert after["superapp_pending"]["outbox", "undelivered"] == 2, "what is not due yet does not wait"
    assert after["superapp_oldest_pending_seconds"]["outbox", "undelivered"] == 90
    assert after["superapp_outbox_lag_seconds"][()] == 90
    assert after["superapp_scrape_ok"]["database",] == 1


@pytest.mark.django_db
def test_an_event_that_fails_is_seen_although_it_is_put_off() -> None:
    now = clock.now()
    with clock.stopped_at(now):
        outbox.emit(TOPIC, {"fail": "yes"})
        with the_owners_hand():
            OutboxEvent.objects.update(created_at=now - timedelta(hours=1))
        tried = figures().get("superapp_outbox_deliveries_total", {}).get(("failed", TOPIC), 0)
        assert outbox.deliver_due() == 1
        after = figures()
    assert after["superapp_oldest_pending_seconds"]["outbox", "undelivered"] == 0
    assert after["superapp_outbox_failing"][()] == 1
    assert after["superapp_outbox_lag_seconds"][()] > 3_500
    assert after["superapp_outbox_deliveries_total"]["failed", TOPIC] == tried + 1


@pytest.mark.django_db
def test_a_runs_progress_is_steps_done_over_steps_planned() -> None:
    run = runs.open_run("test.income", "MIFUND", clock.today())
    runs.plan_batches(run, [(uuid.UUID(int=n), uuid.UUID(int=n)) for n in range(4)])
    runs.advance(run, Run.State.OPEN, Run.State.COUNTING)
    run.batches.filter(position__lt=2).update(state="counted")
    run.batches.filter(position=0).update(state="posted")
    assert figures()["superapp_run_progress_ratio"]["test.income", "counting"] == (2 + 1) / 8
    assert "superapp_runs_stopped" not in figures()

    runs.stop(run, "a figure did not agree")

    assert figures()["superapp_runs_stopped"]["test.income",] == 1
    assert "superapp_run_progress_ratio" not in figures()


@pytest.mark.django_db
def test_every_figure_of_the_database_is_found_by_an_index_or_in_a_small_table() -> None:
    """Runs, funds and the list of locks stay small; nothing that grows with people or payments is read through."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {metrics.statement()}", {"now": clock.now()})
        plan = [row[0] for row in cursor.fetchall()]
    read_through = {line.split(" on ")[1].split()[0] for line in plan if "Seq Scan" in line}
    assert read_through <= {"superapp_run", "superapp_runbatch", "funds_fund"}


def test_a_scrape_takes_no_longer_than_its_bound_and_says_what_is_missing(
    committed_db: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "SCRAPE_SECONDS", 0.05)
    monkeypatch.setitem(metrics._sql, "superapp_database_lock_waiters", ["SELECT 1 FROM pg_sleep(3600)"])

    shown = figures()  # comes back at all: the sleep was not waited for

    assert shown["superapp_scrape_ok"]["database",] == 0
    assert "superapp_pending" not in shown
    assert "superapp_doorbells_total" in metrics.page().decode(), "counters need no database"
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() != ("50ms",), "the bound is the scrape's, not the session's"


def test_statements_that_the_database_ends_are_counted_by_kind(committed_db: TestDatabase) -> None:
    def seen(kind: str) -> float:
        return figures().get("superapp_database_faults_total", {}).get((kind,), 0)

    before = {kind: seen(kind) for kind in ("statement_timeout", "lock_timeout")}
    OutboxEvent.objects.create(topic=TOPIC, payload={}, available_at=clock.now())
    other = connection.copy("other")
    try:
        with transaction.atomic(), other.cursor() as holder:
            other.set_autocommit(False)
            holder.execute("SELECT 1 FROM superapp_outboxevent FOR UPDATE")
            connection.cursor().execute("SET LOCAL lock_timeout = '10ms'")
            with pytest.raises(OperationalError, match="lock timeout"):
                connection.cursor().execute("SELECT 1 FROM superapp_outboxevent FOR UPDATE")
            connection.set_rollback(True)
    finally:
        other.rollback()
        other.close()
    with transaction.atomic():
        connection.cursor().execute("SET LOCAL statement_timeout = '10ms'")
        with pytest.raises(OperationalError, match="statement timeout"):
            connection.cursor().execute("SELECT pg_sleep(60)")
        connection.set_rollback(True)
    with pytest.raises(ProgrammingError, match="does not exist"):
        connection.cursor().execute("SELECT nothing_of_the_kind")

    assert seen("lock_timeout") == before["lock_timeout"] + 1
    assert seen("statement_timeout") == before["statement_timeout"] + 1
    assert set(figures()["superapp_database_faults_total"]) <= {
        (kind,) for kind in {*faults.KINDS.values(), "connection_lost", "out_of_resources", "unreachable"}
    }


def test_a_metric_is_declared_once_or_alike() -> None:
    with pytest.raises(ValueError, match="begins with superapp_"):
        metrics.gauge("other_lag", "A lag.", sql="SELECT 1")
    with pytest.raises(ValueError, match="not alike"):
        metrics.gauge("superapp_pending", "Something else.", sql="SELECT 1")
    metrics.gauge(
        "superapp_database_lock_waiters", metrics.names()["superapp_database_lock_waiters"],
        sql=metrics._sql["superapp_database_lock_waiters"][0],
    )  # fmt: skip
    assert len(metrics._sql["superapp_database_lock_waiters"]) == 1


COUNTING = """
import sys
from superapp.counters import refused, OPERATION_SECONDS
for _ in range(int(sys.argv[1])):
    refused("NOT_FOUND")
    OPERATION_SECONDS.labels("viewer").observe(0.02)
print("counted", flush=True)
sys.stdin.readline()
"""


def test_a_web_process_has_its_counters_whole_room_before_it_serves(tmp_path: Path) -> None:
    """A page that the disk cannot give later would end the process."""
    subprocess.run(
        [sys.executable, "-c", "import config.wsgi"],
        cwd=CHECKOUT,
        env={**os.environ, "SUPERAPP_PROCESS": "web", "METRICS_DIR": str(tmp_path)},
        check=True,
    )
    files = {path.name.partition("_")[0]: path.stat() for path in tmp_path.glob("*.db")}
    assert set(files) == {"counter", "histogram"}
    assert [file.st_blocks * 512 >= metric_files.ROOM_BYTES for file in files.values()] == [True, True]


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[list["subprocess.Popen[str]"]]:
    """Two processes that have counted 3 and 4, and wait."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", COUNTING, str(times)],
            cwd=CHECKOUT,
            env={"PATH": "/usr/bin:/bin", metric_files.VARIABLE: str(tmp_path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for times in (3, 4)
    ]
    try:
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == "counted\n"
        yield started
    finally:
        for process in started:
            process.kill()
            process.communicate()


def test_what_processes_counted_is_added_up_and_outlives_them(
    processes: list["subprocess.Popen[str]"], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(metric_files.VARIABLE, str(tmp_path))

    def refusals() -> float:
        families = text_string_to_metric_families(metric_files.page_of_processes(counters.REGISTRY).decode())
        samples = {(s.name, *values_of(s)): s.value for family in families for s in family.samples}
        assert samples["superapp_operation_seconds_count", "viewer"] == samples["superapp_refusals_total", "NOT_FOUND"]
        assert samples["superapp_operation_seconds_bucket", "0.01", "viewer"] == 0
        return samples["superapp_refusals_total", "NOT_FOUND"]

    assert refusals() == 7
    files = len(list(tmp_path.glob("*.db")))
    processes[0].kill()
    processes[0].communicate()
    assert refusals() == 7, "a total that falls would look like a restart of everything"
    processes[1].kill()
    processes[1].communicate()
    assert refusals() == 7
    assert len(list(tmp_path.glob("*.db"))) == files / 2 == 2, "one file of each kind for all that have ended"
    assert refusals() == 7
