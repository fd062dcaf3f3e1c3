"""Doing one thing many times at once, each in a thread with a database connection of its own."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connection, connections

from tests.waiting import PATIENCE_SECONDS

T = TypeVar("T")


def at_once(jobs: Sequence[Callable[[], T]], *, threads: int | None = None) -> list[T | Exception]:
    """What each job answered or raised, in their order. All threads are connected before the first job begins."""
    width = min(threads or len(jobs), len(jobs))
    start = threading.Barrier(width)
    started = threading.local()

    def run(job: Callable[[], T]) -> T | Exception:
        if not getattr(started, "yes", False):
            started.yes = True
            connection.ensure_connection()
            start.wait(PATIENCE_SECONDS)
        try:
            return job()
        except Exception as error:  # noqa: BLE001  the test looks at what came of each
            return error

    def hang_up() -> None:
        connections.close_all()

    with ThreadPoolExecutor(max_workers=width) as pool:
        results = list(pool.map(run, jobs))
        leaving = threading.Barrier(width)

        def leave() -> None:
            leaving.wait(PATIENCE_SECONDS)
            hang_up()

        for done in [pool.submit(leave) for _ in range(width)]:
            done.result()
    return results
