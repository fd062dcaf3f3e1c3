"""The statements in a payment's path, prepared: the server parses and plans them once per connection, not once per payment.

Django's cursors put values into the text, so that every execution is a new statement; for `post`, which writes four rows,
planning cost more than writing. Values here travel as parameters, and columns of values as array literals, so that a
statement has one shape whatever the number of rows. Two session options make it pay (`config.settings.database`), and
nothing but speed depends on them: `prepare_threshold`, without which nothing is prepared, and
`plan_cache_mode=force_generic_plan`, without which the planner would look at each array's length and plan anew.
"""

from collections.abc import Iterable
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

MOST_KEPT = 64
"""Cursors that a session keeps; there are fewer such statements, and whoever made one up each time would not fill memory."""

_kept: WeakKeyDictionary[BaseDatabaseWrapper, tuple[Any, dict[str, psycopg.Cursor[Any]]]] = WeakKeyDictionary()
"""By connection of Django's: its session and that session's cursors. A connection belongs to one thread, so they do too."""


def run(statement: str, parameters: tuple[Any, ...], *, answers: bool = True) -> list[tuple[Any, ...]]:
    """Executes one statement on the default connection, in its current transaction, and answers with its rows.

    Raises what a Django cursor would raise. Where somebody listens to the connection's statements (a test that counts
    them, the debug log), it goes through Django's cursor, unprepared.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    if connection.queries_logged or connection.execute_wrappers:
        with connection.cursor() as listened:
            listened.execute(statement, parameters)
            return listened.fetchall() if answers else []
    # as Django's cursor does: a kept session that has ended meanwhile is replaced
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    connection.validate_no_broken_transaction()
    with connection.wrap_database_errors:
        cursor = _cursor(connection, statement)
        cursor.execute(statement, parameters, prepare=True)
        return cursor.fetchall() if answers else []


def array(values: Iterable[object]) -> str:
    """The literal of an array of ids, codes, numbers or instants (none of which needs quoting); None becomes NULL."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def _cursor(connection: BaseDatabaseWrapper, statement: str) -> psycopg.Cursor[Any]:
    """The session's own cursor for this statement: one that is kept knows already how to write and read its values.

    It holds its last rows until it is used again, so `run` is not for statements that answer with many.
    """
    session, cursors = _kept.get(connection, (None, {}))
    if session is not connection.connection:
        cursors = {}
        _kept[connection] = (connection.connection, cursors)
    cursor = cursors.get(statement)
    if cursor is None:
        if len(cursors) >= MOST_KEPT:
            cursors.clear()
        cursor = cursors[statement] = psycopg.Cursor(connection.connection)
    return cursor
