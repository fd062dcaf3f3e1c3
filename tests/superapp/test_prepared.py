"""Prepared statements keep their cursors: each session its own, and what was read once is not read again."""

import pytest
from django.db import DEFAULT_DB_ALIAS, DataError, connection, connections, transaction

from superapp import prepared
from superapp.prepared import run

WHO = "SELECT pg_backend_pid(), %s::int"
HALF = "SELECT 10 / %s::int"


def test_a_new_session_does_not_use_the_cursors_of_the_one_before(committed_db: None) -> None:
    """A closed cursor, or one of a closed session, would refuse every statement from then on."""
    ((before, _),) = run(WHO, (1,))
    connection.close()
    ((after, _),) = run(WHO, (2,))
    assert after != before
    assert connection.connection.info.backend_pid == after


def test_a_kept_cursor_answers_with_the_rows_of_its_last_call(db: None) -> None:
    """And with the values of its last call, None and others in turn."""
    assert [run(WHO, (value,))[0][1] for value in (1, None, 3)] == [1, None, 3]


def test_after_a_statement_that_failed_its_cursor_works_on(db: None) -> None:
    """The error is Django's, the savepoint takes it back, and the same statement goes through."""
    assert run(HALF, (5,)) == [(2,)]
    with pytest.raises(DataError, match="division by zero"), transaction.atomic():
        run(HALF, (0,))
    assert run(HALF, (2,)) == [(5,)]


def test_a_session_keeps_a_bounded_number_of_cursors(db: None) -> None:
    """Statements that are made up each time do not fill the memory."""
    for number in range(prepared.MOST_KEPT + 5):
        assert run(f"SELECT {number}", ()) == [(number,)]
    _, cursors = prepared._kept[connections[DEFAULT_DB_ALIAS]]
    assert len(cursors) <= prepared.MOST_KEPT
