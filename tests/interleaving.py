"""Interleavings forced on real connections: who goes first, who waits for whom, and who then goes on.

An actor is a thread with a connection of its own that does one thing at a time. It can be stopped behind (or before) a
statement of what it does, and stays there, its transaction open, until it is let go. Whether somebody waits is asked of the
server (`pg_blocking_pids`), so no interleaving depends on time, and none is merely likely.

    with actors(2) as (first, second):
        first.begin(lambda: send(ann, ben), stop_after="FOR NO KEY UPDATE")
        second.begin(lambda: send(ann, ben))
        second.waits_for(first)
        first.go_on()
        assert [first.answer(), second.answer()] == [...]
"""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from django.db import connection, connections, transaction

from tests.waiting import PATIENCE_SECONDS, wait_until

Job = Callable[[], Any]


class Actor:
    """One thread, one connection. What `begin` starts is looked at by `answer`, which also raises what it raised."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.pid = 0
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        self._stopped, self._let_go = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def begin(self, job: Job, *, stop_after: str = "", stop_before: str = "") -> None:
        """Starts the job. With `stop_after` or `stop_before` it returns once the job has come to a statement of that
        text, and stays there; otherwise at once.
        """
        self._stopped.clear()
        self._let_go.clear()
        text = stop_after or stop_before
        self._jobs.put(lambda: self._watched(job, text, after=bool(stop_after)) if text else job())
        if text:
            wait_until(lambda: self._stopped.is_set() or not self._outcomes.empty(), PATIENCE_SECONDS, what=text)
            if not self._stopped.is_set():
                raise AssertionError(f"{self.name} never came to a statement with {text!r}: {self._outcomes.get()}")

    def go_on(self) -> None:
        """Lets the job go on from where it was stopped."""
        self._let_go.set()

    def answer(self) -> Any:
        """What the job answered; waits for its end. Raises what it raised."""
        answer, error = self._outcomes.get(timeout=PATIENCE_SECONDS)
        if error is not None:
            raise error
        return answer

    def does(self, job: Job) -> Any:
        """Does the job from beginning to end, whatever others hold."""
        self.begin(job)
        return self.answer()

    def waits_for(self, *others: "Actor") -> None:
        """Returns once this actor's session waits for a lock that one of the others holds or asked for before."""
        pids = [other.pid for other in others]
        wait_until(
            lambda: set(blockers_of(self.pid)) & set(pids),
            PATIENCE_SECONDS,
            what=f"{self.name} waiting for {', '.join(other.name for other in others)}",
        )

    def _watched(self, job: Job, text: str, *, after: bool) -> Any:
        def stop_once(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
            if text not in sql or self._stopped.is_set():
                return execute(sql, params, many, context)
            found = execute(sql, params, many, context) if after else None
            self._stopped.set()
            assert self._let_go.wait(PATIENCE_SECONDS), f"nobody let {self.name} go on"
            return found if after else execute(sql, params, many, context)

        with connection.execute_wrapper(stop_once):
            return job()

    def _work(self) -> None:
        connection.ensure_connection()
        self.pid = connection.connection.info.backend_pid
        while (job := self._jobs.get()) is not None:
            try:
                self._outcomes.put((job(), None))
            except BaseException as error:  # noqa: BLE001  the test looks at what came of it
                self._outcomes.put((None, error))
        connections.close_all()

    def __enter__(self) -> "Actor":
        self._thread.start()
        wait_until(lambda: self.pid, PATIENCE_SECONDS, what=f"a connection for {self.name}")
        return self

    def __exit__(self, *_: object) -> None:
        self._let_go.set()
        self._jobs.put(None)
        self._thread.join(PATIENCE_SECONDS)


@contextmanager
def actors(count: int) -> Iterator[tuple[Actor, ...]]:
    """So many actors, connected; all of them have ended when the block is left."""
    with ExitStack() as stack:
        yield tuple(stack.enter_context(Actor(f"actor {number + 1}")) for number in range(count))


def in_a_transaction(job: Job) -> Job:
    """The job as one transaction of its own."""

    def committed() -> Any:
        with transaction.atomic():
            return job()

    return committed


def blockers_of(pid: int) -> list[int]:
    """The sessions that the session waits for; empty when it does not wait for a lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_blocking_pids(%s)", [pid])
        found: list[int] = cursor.fetchone()[0]
    return found
