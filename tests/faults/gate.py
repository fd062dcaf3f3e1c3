"""A gate in the database: whoever comes to it waits, what they have written uncommitted, until they are killed or let through.

It is a trigger that waits for a lock of the test's. Who stands there is asked of the server, so no kill depends on how fast
anybody is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connection

from tests.databases import TestDatabase
from tests.site import Site
from tests.waiting import wait_until

NUMBER = 0x6A7E
"""Of the advisory lock that keeps the gate shut."""

WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = %s"
OTHERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND backend_type = 'client backend'"
)

REMOVE = "DROP FUNCTION wait_at_gate() CASCADE"


@contextmanager
def two_workers_at(
    site: Site, stands: str, *, waiting: int = 2, lets_through: str = "false"
) -> Iterator["psycopg.Connection[Any]"]:
    """Starts the workers `one` and `two`, of one process each; the block begins when so many of them wait at the gate, and the
    gate is gone behind it. `stands`: a trigger's time, event, table and condition, as SQL writes them; whoever meets the
    condition of `lets_through` does not wait.
    """
    with psycopg.connect(site.database.url, autocommit=True) as keeper:
        keeper.execute("SELECT pg_advisory_lock(%s)", [NUMBER])
        keeper.execute(
            f"""
            CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql SET lock_timeout = 0 AS $$
                BEGIN
                    IF NOT ({lets_through}) THEN PERFORM pg_advisory_xact_lock_shared({NUMBER}); END IF;
                    RETURN NEW;
                END $$;
            CREATE TRIGGER gate {stands} EXECUTE FUNCTION wait_at_gate()
            """
        )
        site.start_worker("one", processes=1)
        site.start_worker("two", processes=1)
        wait_until(lambda: one(keeper, WAITING, NUMBER) >= waiting, what=f"{waiting} at the gate")
        yield keeper
        if not keeper.closed:  # it has died with the server
            keeper.execute("SELECT pg_advisory_unlock(%s)", [NUMBER])
            keeper.execute(REMOVE)


def kill_two_workers_at(site: Site, stands: str, *, waiting: int = 2, lets_through: str = "false") -> None:
    """Both workers started, and killed by kill -9 when so many of them wait at the gate."""
    with two_workers_at(site, stands, waiting=waiting, lets_through=lets_through):
        site.kill("one", "two")
    wait_until_gone(site.database)


def remove(database: TestDatabase) -> None:
    """Takes away a gate whose keeper has died."""
    with psycopg.connect(database.url, autocommit=True) as session:
        session.execute(REMOVE)


def wait_until_gone(database: TestDatabase) -> None:
    """Returns once the server has noticed that whoever was killed is gone, and has undone what they had not committed."""
    connection.close()

    def nobody_is_connected() -> bool:
        with psycopg.connect(database.url, autocommit=True) as session:
            return bool(one(session, OTHERS) == 0)

    wait_until(nobody_is_connected, what="the end of the killed workers' sessions")


def one(session: "psycopg.Connection[Any]", statement: str, *values: object) -> Any:
    """The one value that the statement finds."""
    row = session.execute(statement, values).fetchone()
    assert row is not None
    return row[0]
