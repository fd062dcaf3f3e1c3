"""A worker's database session: kept from task to task, replaced when it has ended in between."""

import psycopg
from celery.fixups.django import DjangoWorkerFixup
from django.db import connection

from config.benchmarks.workers import Workers
from config.celery import _begin_task, app
from config.settings.database import SITE_ROLE
from payments.tasks import settle_due
from tests.databases import TestDatabase


def test_a_worker_keeps_its_session_from_one_task_to_the_next(committed_db: TestDatabase) -> None:
    celery = DjangoWorkerFixup(app)
    first = _session()
    celery.on_task_postrun(settle_due)
    celery.on_task_prerun(settle_due)
    _begin_task(task_id="the next", task=settle_due)
    assert _session() == first


def test_a_task_that_finds_its_session_ended_begins_a_new_one(committed_db: TestDatabase) -> None:
    first = _session()
    with psycopg.connect(committed_db.url, autocommit=True) as operator:
        operator.execute("SELECT pg_terminate_backend(%s, 10000)", [first])
    _begin_task(task_id="the next", task=settle_due)
    assert _session() != first


def test_a_benchmark_sees_a_worker_at_work(committed_db: TestDatabase) -> None:
    with (
        Workers("nobody listens", committed_db.url).watching() as are_at_work,
        psycopg.connect(committed_db.url, application_name="superapp worker") as worker,
    ):
        worker.execute(f"SET ROLE {SITE_ROLE}")
        assert are_at_work()
        worker.commit()
        assert not are_at_work()


def _session() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    return int(pid)
