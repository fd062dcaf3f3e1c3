"""Real Celery workers for one benchmark: started as in production, listening to a queue of their own."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from celery import current_app

from config.benchmarks.clients import in_mb
from config.runner import DRAIN_SECONDS, worker_command

SWEEP_SECONDS = 2.0
"""How often a bell is rung again while work is left, as beat does."""

DEADLINE_SECONDS = 600.0
LOOK_SECONDS = 0.015


_AT_WORK_SQL = """
    SELECT EXISTS (
        SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'superapp worker' AND state IS DISTINCT FROM 'idle'
    )
"""


class WorkStalled(RuntimeError):
    """Workers did not finish in time."""


class Workers:
    """Running workers of the database at `url`. `peak_memory_mb` is known once they have ended."""

    def __init__(self, queue: str, url: str) -> None:
        self.queue = queue
        self.url = url
        self.peak_memory_mb = 0.0

    def ring(self, task: str, *, times: int = 1, **arguments: str | int) -> None:
        """Tells them to look; as often as there are workers to be woken."""
        for _ in range(times):
            current_app.send_task(task, kwargs=arguments, queue=self.queue, ignore_result=True)

    def work_until(self, done: Callable[[], bool], *, task: str, times: int) -> float:
        """Rings, and answers with the seconds until `done()`; rings again every few seconds, as the sweep would.

        `done` is asked only while no worker's session is at work: to look for what is left among rows that have just been
        changed takes a core away from those who change them, and the limit is watched by nobody. Raises WorkStalled after
        ten minutes.
        """
        with self.watching() as are_at_work:
            started = time.perf_counter()
            self.ring(task, times=times)
            rung = started
            while are_at_work() or not done():
                now = time.perf_counter()
                if now - started > DEADLINE_SECONDS:
                    raise WorkStalled(f"{task} was not finished after {DEADLINE_SECONDS:.0f} seconds.")
                if now - rung > SWEEP_SECONDS:
                    self.ring(task, times=times)
                    rung = now
                time.sleep(LOOK_SECONDS)
            return time.perf_counter() - started

    @contextmanager
    def watching(self) -> Iterator[Callable[[], bool]]:
        """Yields what tells whether a worker's session is at work.

        It asks as the role that has connected, as the workers have: the site's own may not see what another's session does.
        Its statement is prepared: planned anew at each look it would take a fifth of a core.
        """
        with psycopg.connect(self.url, autocommit=True) as session:

            def are_at_work() -> bool:
                row = session.execute(_AT_WORK_SQL, prepare=True).fetchone()
                return row is not None and bool(row[0])

            yield are_at_work


@contextmanager
def celery_workers(count: int, *, url: str) -> Iterator[Workers]:
    """So many worker processes on the database at `url`; ended, and their queue removed, when the block ends."""
    workers = Workers(queue=f"superapp-benchmark-{os.getpid()}-{count}", url=url)
    process = subprocess.Popen(
        worker_command(processes=count),
        env=os.environ | _environment(workers.queue, url),
        cwd=Path(__file__).resolve().parent.parent.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is ours to handle
    )
    try:
        yield workers
    finally:
        workers.peak_memory_mb = end(process)
        remove_queue(workers.queue)


def _environment(queue: str, url: str) -> Mapping[str, str]:
    return {"DATABASE_URL": url, "CELERY_TASK_DEFAULT_QUEUE": queue, "SUPERAPP_PROCESS": "worker"}


def end(process: "subprocess.Popen[bytes]") -> float:
    """Lets a server or worker finish, with all its processes, then ends it; the peak memory of the largest, in MB."""
    with suppress(ProcessLookupError):
        process.terminate()
    gives_up_at = time.monotonic() + DRAIN_SECONDS
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return in_mb(usage.ru_maxrss)
        if time.monotonic() > gives_up_at:
            process.kill()
        time.sleep(LOOK_SECONDS)


def remove_queue(name: str) -> None:
    """Deletes the queue with what bells are left in it. Only a channel that knows its bindings removes them too."""
    with current_app.connection_for_write() as connection:
        queue = current_app.amqp.queues[name].bind(connection.default_channel)
        queue.declare()
        queue.delete()
