"""The two roles of the database, which no code of the site can mix up.

    owner            the login of DATABASE_URL: owns the tables and migrates
    superapp_site    what every other session becomes at once (SET ROLE): it reads and writes rows, as granted

A role belongs to the whole server, so several databases of one server (tests, benchmarks) share `superapp_site`; what it
may do is granted in each database. A new table can be read and added to; its migration grants what more the code does with
it, an UPDATE by column (`grants.sql` of each app; `tests/config/test_grants.py` holds the whole table).
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import connection
from django.db.backends.utils import CursorWrapper

_ROLES_LOCK = 0x73757065
"""Advisory lock: CREATE ROLE and GRANT of two databases migrated at once would meet in the shared catalogue."""


@contextmanager
def as_owner() -> Iterator[None]:
    """Connects anew as the owner for as long as the block runs; for migrations and for nothing else."""
    options = connection.settings_dict["OPTIONS"]
    site_role = options.pop("assume_role", None)
    connection.close()
    try:
        yield
    finally:
        connection.close()
        if site_role:
            options["assume_role"] = site_role


def grant_to_site() -> None:
    """Makes the site's role where it is missing and grants it what the site needs here. As the owner; repeatable.

    Tables that later migrations make can be read and added to by default, their sequences used.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_ROLES_LOCK])
        try:
            _make_role(cursor, settings.SITE_ROLE)
            _grant(cursor, settings.SITE_ROLE)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_ROLES_LOCK])


def _make_role(cursor: CursorWrapper, role: str) -> None:
    cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role])
    if cursor.fetchone() is None:
        cursor.execute(f"CREATE ROLE {role} NOLOGIN")
    cursor.execute(
        "SELECT 1 FROM pg_auth_members m WHERE m.roleid = %s::regrole AND m.member = current_user::regrole AND m.set_option",
        [role],
    )
    if cursor.fetchone() is None:
        cursor.execute(f"GRANT {role} TO CURRENT_USER WITH INHERIT FALSE, SET TRUE")


def _grant(cursor: CursorWrapper, role: str) -> None:
    database = connection.ops.quote_name(str(connection.settings_dict["NAME"]))
    for statement in (
        f"GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {role}",
        f"GRANT USAGE ON SCHEMA public TO {role}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM {role}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT ON TABLES TO {role}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO {role}",
    ):
        cursor.execute(statement)
