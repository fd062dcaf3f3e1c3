"""`manage.py migrate`: Django's own, as the owner of the database, with the roles made first and the mode noted last."""

from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import DEFAULT_DB_ALIAS, connection
from django.db.utils import NotSupportedError, ProgrammingError

from superapp import installation, roles

LOCK_TIMEOUT = "2s"
"""A migration that waits for a lock stalls everyone behind it: it gives up, and is run again."""


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
        super().handle(*args, **options)
        if not (options["plan"] or options["check_unapplied"] or options["app_label"]):
            installation.settle()
