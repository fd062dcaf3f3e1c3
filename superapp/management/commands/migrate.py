"""`manage.py migrate`: Django's own, as the owner of the database, with the roles made first and the mode noted last."""

from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently
from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import DEFAULT_DB_ALIAS, connection
from django.db.migrations.loader import MigrationLoader
from django.db.utils import NotSupportedError, OperationalError, ProgrammingError

from superapp import installation, roles
from superapp.faults import kind_of

LOCK_TIMEOUT = "1s"
"""A migration that waits for a lock stalls everyone behind it, and who needs what it has locked before: with two such waits
nobody is stalled for more than two seconds. It gives up, and is run again."""


class Command(migrate.Command):
    """Migrates as the owner, then notes whether this database is a sandbox's or production's."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Everything, the system checks too, as the owner. Raises CommandError with one sentence."""
        with roles.as_owner():
            answer: str | None = super().execute(*args, **options)
        return answer

    def handle(self, *args: Any, **options: Any) -> None:
        """Roles, migrations, mode."""
        if options["database"] != DEFAULT_DB_ALIAS:
            raise CommandError("There is one database, called default.")
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
            roles.grant_to_site()
        except NotSupportedError as fault:
            raise CommandError(str(fault)) from fault
        except ProgrammingError as fault:
            raise CommandError(
                f"The login of DATABASE_URL must own the database and may make roles (CREATEROLE): {fault}"
            ) from fault
        only_looks = options["plan"] or options["check_unapplied"]
        try:
            if not (only_looks or options["fake"]):
                _remove_unfinished_indexes()
            super().handle(*args, **options)
        except OperationalError as fault:
            if kind_of(fault) != "lock_timeout":
                raise
            raise CommandError(
                f"A lock was not to be had within {LOCK_TIMEOUT}, so nobody is kept waiting: run migrate again, it goes on"
                " where it gave up (pg_blocking_pids says who holds it)."
            ) from fault
        if not (only_looks or options["app_label"]):
            installation.settle()


def _remove_unfinished_indexes() -> None:
    """Removes what a migration that gave up in the middle of its concurrent indexes has left: it makes them again.

    Such a migration is no transaction, and PostgreSQL keeps an index that was not finished under its name. While another
    `migrate` is at it, its lock on the table is waited for in vain.
    """
    loader = MigrationLoader(connection)
    names = [
        operation.index.name
        for key, migration in loader.disk_migrations.items()
        if key not in loader.applied_migrations
        for operation in migration.operations
        if isinstance(operation, AddIndexConcurrently)
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.oid::regclass::text FROM pg_class c"
            " WHERE c.relkind = 'i' AND c.relnamespace = 'public'::regnamespace AND c.relname = ANY(%s)",
            [names],
        )
        for (name,) in cursor.fetchall():
            cursor.execute(f"DROP INDEX CONCURRENTLY {name}")
