"""Messages tripled, shuffled, late and lost; a broker killed, emptied, fed with nonsense; two beats: only delay follows."""

import psycopg
import pytest

from tests.faults import checker, figures
from tests.faults.conftest import Busy
from tests.faults.meddler import COPIES, QUEUE, a_task_with_nonsense, a_task_with_strange_arguments, an_unknown_task
from tests.faults.rig import WORKER_PROCESSES, Rig
from tests.waiting import wait_until

pytestmark = pytest.mark.processes


def test_every_message_tripled_shuffled_late_and_some_lost(rig: Rig, busy: Busy) -> None:
    rig.meddler.meddling = True
    try:
        with busy() as clients:
            clients.more(60)
    finally:
        rig.meddler.meddling = False
    seen = rig.meddler.figures
    wait_until(lambda: seen["heard"] == COPIES * (seen["posted"] - seen["lost"]), what="the last of the late messages")
    figures.note(f"messages posted {seen['posted']}, lost {seen['lost']}, heard", seen["heard"], "")

    assert seen["posted"] > seen["lost"]


def test_two_beats_a_broker_that_is_emptied_and_killed_and_messages_that_make_no_sense(rig: Rig, busy: Busy) -> None:
    with busy() as clients:
        rig.start_beat("second beat")
        clients.more(15)
        with rig.broker() as broker:
            broker.lpush(QUEUE, an_unknown_task(), a_task_with_nonsense(), a_task_with_strange_arguments())
        wait_until(
            lambda: "payments.no_such_task" in rig.log("worker"), what="the worker's word on a task nobody knows"
        )
        clients.more(15)
        rig.empty_broker()
        clients.more(15)
        rig.kill_valkey()
        clients.more(15)
        with figures.timed("broker killed and emptied: everything final after"):
            clients.pause()
            checker.wait_until_final(rig)
        rig.kill("second beat")

    assert rig.processes["worker"].poll() is None


def test_a_worker_whose_acknowledgements_the_broker_missed_hears_again(rig: Rig, busy: Busy) -> None:
    said_before, worker = len(rig.log("worker")), rig.processes["worker"]
    with busy() as clients:
        clients.more(10)
        with psycopg.connect(rig.database.url) as holder:
            holder.execute("LOCK TABLE payments_transfer, superapp_outboxevent IN ACCESS EXCLUSIVE MODE")
            wait_until(lambda: _all_workers_wait(rig), what="every process of the worker waiting for a lock")
            rig.end_valkey()
            holder.rollback()
        wait_until(lambda: "Couldn't ack" in rig.log("worker")[said_before:], what="an acknowledgement that failed")
        rig.serve()
        clients.more(10)

    assert rig.processes["worker"] is worker
    assert worker.poll() is None


def _all_workers_wait(rig: Rig) -> bool:
    with rig.owner() as owner:
        found = owner.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'superapp worker' AND wait_event_type = 'Lock'"
        ).fetchone()
    return found is not None and found[0] >= WORKER_PROCESSES


def test_bytes_that_are_no_message_end_a_worker_and_are_gone_when_it_is_started_again(rig: Rig, busy: Busy) -> None:
    worker = rig.processes["worker"]
    with busy() as clients:
        clients.more(10)
        with rig.broker() as broker:
            broker.lpush(QUEUE, b"\xff\x00 no message")
        wait_until(lambda: rig.processes["worker"].poll() is not None, what="the worker's end")
        rig.serve()
        clients.more(10)

    assert rig.processes["worker"] is not worker
    assert rig.processes["worker"].poll() is None
