"""The statements in a payment's path, prepared: the server parses and plans them once per connection, not once per payment.

Django's cursors put values into the text, so that every execution is a new statement; for `post`, which writes four rows,
planning cost more than writing. Values here travel as parameters, and columns of values as array literals, so that a
statement has one shape whatever the number of rows. Two session options make it pay (`config.settings.database`), and
nothing but speed depends on them: `prepare_threshold`, without which nothing is prepared, and
`plan_cache_mode=force_generic_plan`, without which the planner would look at each array's length and plan anew.
"""

from collections.abc import Iterable
from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections


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
    connection.ensure_connection()
    connection.validate_no_broken_transaction()
    with connection.wrap_database_errors:
        cursor = psycopg.Cursor(connection.connection)
        cursor.execute(statement, parameters, prepare=True)
        return cursor.fetchall() if answers else []


def array(values: Iterable[object]) -> str:
    """The literal of an array of ids, codes, numbers or instants (none of which needs quoting); None becomes NULL."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"
