"""A database of its own for one benchmark, on the server the site uses, and the quick filling of it."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode

from django.core.management import call_command
from django.db import ProgrammingError, connection, connections, models
from django.db.models.expressions import DatabaseDefault
from psycopg.errors import InsufficientPrivilege

from superapp import clock, roles

DROP_SECONDS = 60.0
"""How long a database that autovacuum is at work in is waited for."""

LOOK_SECONDS = 0.1

_NOT_FOR_A_URL = {"context", "cursor_factory", "prepare_threshold", "client_encoding", "options", "application_name"}


@contextmanager
def own_database() -> Iterator[str]:
    """A migrated, empty database, which this process's connection leads to; dropped when the block ends, however it ends.

    Yields the DATABASE_URL for other processes.
    """
    name = f"superapp_benchmark_{os.getpid()}"
    quoted = connection.ops.quote_name(name)
    _as_owner(f"CREATE DATABASE {quoted}")
    before = _lead_to(name)
    try:
        call_command("migrate", verbosity=0, interactive=False)
        yield _url()
    finally:
        connections.close_all()
        _lead_to(before)
        _drop(quoted)


def define(sql: str) -> None:
    """Runs a definition as the database's owner: the functions of the limits."""
    _as_owner(sql)


def fill(
    like: models.Model, *, each: str, varying: Mapping[str, str], parameters: Mapping[str, object] | None = None
) -> int:
    """Inserts a row like the unsaved one for each row of a FROM clause; `varying` columns are SQL over it.

    The balances and states of a benchmark's world are written, not lived through. How many rows.
    """
    columns: list[str] = []
    expressions: list[str] = []
    values: dict[str, Any] = dict(parameters or {})
    for column_field in like._meta.concrete_fields:
        column = str(column_field.column)
        value: Any = getattr(like, column_field.attname)
        if column in varying:
            expressions.append(varying[column])
        elif isinstance(value, DatabaseDefault):
            continue
        else:
            expressions.append(f"%(same_{column})s")
            values[f"same_{column}"] = column_field.get_db_prep_save(value, connection)
        columns.append(column)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {like._meta.db_table} ({', '.join(columns)}) SELECT {', '.join(expressions)} FROM {each}",
            values,
        )
        return int(cursor.rowcount)


def settle_down(table: str = "") -> None:
    """Lets the planner know what was filled, as autovacuum does after a while."""
    _as_owner(f"VACUUM ANALYZE {table}")


def _as_owner(sql: str) -> None:
    with roles.as_owner(), connection.cursor() as cursor:
        cursor.execute(sql)


def _drop(quoted: str) -> None:
    """Ends the database's sessions with it; one in which autovacuum is at work, which only its owner may end, after that."""
    gives_up_at = time.monotonic() + DROP_SECONDS
    while True:
        try:
            return _as_owner(f"DROP DATABASE IF EXISTS {quoted} WITH (FORCE)")
        except ProgrammingError as fault:
            if not isinstance(fault.__cause__, InsufficientPrivilege) or time.monotonic() > gives_up_at:
                raise
        time.sleep(LOOK_SECONDS)


def _lead_to(name: str) -> str:
    connection.close()
    settings = connections.settings["default"]
    before = str(settings["NAME"])
    settings["NAME"] = connection.settings_dict["NAME"] = name
    clock.forget()
    return before


def _url() -> str:
    said = {key: str(value) for key, value in connection.get_connection_params().items() if key not in _NOT_FOR_A_URL}
    name, user, password = said.pop("dbname"), said.pop("user", ""), said.pop("password", "")
    return f"postgresql://{quote(user, safe='')}:{quote(password, safe='')}@/{name}?{urlencode(said, quote_via=quote)}"
