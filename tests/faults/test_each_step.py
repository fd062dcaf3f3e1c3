"""Each money operation, broken at each of its statements: one effect or none, and a connection that is clean for the next.

The steps are not listed by hand: an undisturbed run of an operation is listened to, and every statement it makes, and every
commit, becomes a step at which it is broken: by ending its session before it, by the session's time limit, and, of a commit, by
losing the answer to it. A new statement is so broken by itself; that no operation is missing is asked of the flow table and of
the code (`test_no_way_of_moving_money_is_left_out`).
"""

import ast
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, close_old_connections, connection

from superapp.models import IdempotencyKey
from tests.databases import CHECKOUT, TestDatabase
from tests.faults.money_operations import BROKEN_ELSEWHERE, OPERATIONS, TABLES, Case
from tests.picture import assert_ledger_is_sound, picture
from wallet import flows, holds, ledger_pairs
from wallet.models import Hold, JournalEntry

COMMIT = "COMMIT"

SAVEPOINT_NAME = re.compile(r"s\d+_x\d+")
"""Of a thread and a number: another one each time."""

Breaker = Callable[[str], None]
"""Breaks the session of the default connection; is told the URL of its database."""


def end_the_session(url: str) -> None:
    """What a crash of the server, or an operator, does to a session."""
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("SELECT pg_terminate_backend(%s, 60000)", [connection.connection.info.backend_pid])


def run_out_of_time(url: str) -> None:
    """What the session's own limit does to a statement: the server ends it, and the transaction with it."""
    with connection.cursor() as cursor:  # one message: the limit is gone again with the transaction it fails
        cursor.execute("SET LOCAL statement_timeout = '1ms'; SELECT pg_sleep(3600)")


def lose_the_answer(url: str) -> None:
    """The commit is done, and nobody hears of it."""
    connection.connection.commit()
    end_the_session(url)
    raise OperationalError("server closed the connection unexpectedly")


class StepBreaker:
    """Counts an operation's statements and commits, and breaks the session before the one it is told to, if any."""

    def __init__(self, fault: Breaker | None = None, *, at: int = -1, url: str = "") -> None:
        self.fault, self.at, self.url = fault, at, url
        self.steps: list[str] = []
        self.busy = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hears every statement of the default connection, and every commit of a transaction."""
        commit: Callable[[], None] = connection._commit  # type: ignore[attr-defined]
        with pytest.MonkeyPatch.context() as patch, connection.execute_wrapper(self._statement):
            patch.setattr(connection, "_commit", lambda: self._then(COMMIT, commit))
            yield

    def _statement(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        return self._then(sql, lambda: execute(sql, params, many, context))

    def _then(self, step: str, go_on: Callable[[], Any]) -> Any:
        if not self.busy:
            self.steps.append(SAVEPOINT_NAME.sub("name", step))
            if self.fault is not None and len(self.steps) == self.at:
                self.busy = True
                try:
                    self.fault(self.url)
                finally:
                    self.busy = False
        return go_on()


def _steps_of(case: Case) -> list[str]:
    listening = StepBreaker()
    with listening.listening():
        case.act()
    case.done_once()
    return listening.steps


def _assert_the_connection_is_clean() -> None:
    close_old_connections()
    assert not connection.in_atomic_block
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
            "WHERE l.locktype = 'advisory' AND d.datname = current_database()"
        )
        assert cursor.fetchone() == (0,)


def _breaks_here(fault: Breaker, step: str, *, all_or_nothing: bool) -> bool:
    """A time limit is a statement's, a lost answer a commit's. What has committed once is broken at its next commits only."""
    if fault is end_the_session:
        return all_or_nothing or step == COMMIT
    return (step == COMMIT) is (fault is lose_the_answer) and (all_or_nothing or step == COMMIT)


@pytest.mark.parametrize("fault", [end_the_session, run_out_of_time, lose_the_answer])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_broken_at_any_of_its_steps_did_nothing_and_done_again_does_all_of_it_once(
    committed_db: TestDatabase, operation: str, fault: Breaker
) -> None:
    """What is one commit is tried again and again, broken one step further each time, until it goes through."""
    prepare = OPERATIONS[operation]
    case = prepare()
    case.act()  # what is asked of the database only the first time
    steps = _steps_of(prepare())
    case = prepare()
    tables = [table for table in TABLES if table not in case.noted_in]
    before = picture(*tables)
    for number, step in enumerate(steps, start=1):
        all_or_nothing = case.one_commit or COMMIT not in steps[: number - 1]
        if not _breaks_here(fault, step, all_or_nothing=all_or_nothing):
            continue
        breaker = StepBreaker(fault, at=number, url=committed_db.url)

        with suppress(case.error) if case.noted_in else pytest.raises(case.error), breaker.listening():
            case.act()

        assert breaker.steps[number - 1] == step, f"step {number} is another one this time"
        _assert_the_connection_is_clean()
        case.before_again()
        if all_or_nothing and fault is not lose_the_answer:
            assert picture(*tables) == before, f"step {number}: {step}"
        else:
            case.act()
            case.done_once()
            case = prepare()
    case.act()
    case.done_once()
    assert_ledger_is_sound()


def _operations_under_a_key() -> set[str]:
    """Every name that the code gives an operation under an idempotency key."""
    return {
        str(keyword.value.value)
        for app in ("superapp", "wallet", "payments", "funds")
        for path in (CHECKOUT / app).rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and getattr(call.func, "attr", getattr(call.func, "id", "")) == "once"
        for keyword in call.keywords
        if keyword.arg == "operation" and isinstance(keyword.value, ast.Constant)
    }


def test_no_way_of_moving_money_is_left_out(committed_db: TestDatabase) -> None:
    """A new kind of entry, or a new money mutation, fails here until it is an operation that is broken at each step."""
    for prepare in OPERATIONS.values():
        prepare().act()
    moving = {kind.code for kind in flows.entry_kinds() if kind.legs}
    assert moving - set(JournalEntry.objects.values_list("kind", flat=True).distinct()) == set(BROKEN_ELSEWHERE)
    assert _operations_under_a_key() == set(IdempotencyKey.objects.values_list("operation", flat=True).distinct())
    ended = {state for state, onward in holds.MOVES.items() if not onward}
    assert ended - set(Hold.objects.values_list("state", flat=True)) == set()
    assert [path for path in BROKEN_ELSEWHERE.values() if not (CHECKOUT / path).exists()] == []


def test_the_steps_of_a_payment_are_its_prepared_statements_and_its_commit(committed_db: TestDatabase) -> None:
    """What bypasses the cursors that are listened to would be a step that nothing breaks."""
    steps = _steps_of(OPERATIONS["sending money"]())
    assert any(ledger_pairs.COUNTED_SQL in step for step in steps)
    assert any("INTO payments_transfer" in step for step in steps)
    assert steps[-1] == COMMIT
