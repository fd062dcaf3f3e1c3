"""The database backend of the site: Django's own, and four things more.

- It starts the embedded engines when a command or a test connects for the first time. A serving process (web,
  worker, beat) starts them once, when it begins, and never again: a stopped database must answer at once, not revive.
- A server older than PostgreSQL 18 is refused.
- A server that cannot be reached is one sentence, still an OperationalError to whoever handles it.
- Statements that the database ended (time-outs, deadlocks, lost connections) are counted for operators.
"""

from typing import Any

import psycopg
from django.conf import settings
from django.db.backends.postgresql import base, features
from django.db.utils import DatabaseErrorWrapper, OperationalError
from django.utils.functional import cached_property

from config.engines.home import home
from config.engines.lifetime import ensure_running
from superapp.counters import DATABASE_FAULTS
from superapp.faults import kind_of


class DatabaseUnreachable(OperationalError):
    """The database server refuses us or is not there."""


class DatabaseFeatures(features.DatabaseFeatures):
    """What the site asks of its server: uuidv7(), virtual columns, NOT ENFORCED and more came with PostgreSQL 18."""

    minimum_database_version = (18,)


class CountedErrors(DatabaseErrorWrapper):
    """Django's translation of errors, through which each passes once, whoever made the cursor."""

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        """Translates and counts."""
        try:
            super().__exit__(exc_type, exc_value, traceback)
        except Exception as translated:
            kind = kind_of(translated)
            if kind is not None:
                DATABASE_FAULTS.labels(kind).inc()
            raise


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection to PostgreSQL 18 or newer."""

    features_class = DatabaseFeatures

    @cached_property
    def wrap_database_errors(self) -> DatabaseErrorWrapper:
        """What each statement runs in."""
        return CountedErrors(self)

    def get_connection_params(self) -> dict[str, Any]:
        """Where to connect; the embedded server's port is known only when it runs."""
        if settings.EMBEDDED_POSTGRES:
            if settings.SUPERAPP_PROCESS == "command":
                ensure_running()
            self.settings_dict["HOST"], self.settings_dict["PORT"] = home().postgres_address
        params: dict[str, Any] = super().get_connection_params()
        return params

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """A session. Raises DatabaseUnreachable."""
        try:
            return super().get_new_connection(conn_params)
        except psycopg.OperationalError as fault:
            DATABASE_FAULTS.labels("unreachable").inc()
            where = f"{conn_params.get('host') or 'the local socket'}:{conn_params.get('port') or 5432}"
            named = "the embedded PostgreSQL" if settings.EMBEDDED_POSTGRES else "DATABASE_URL"
            reason = str(fault).strip().splitlines()[-1].strip() if str(fault).strip() else "no reason was given"
            raise DatabaseUnreachable(
                f"The database {conn_params.get('dbname')} at {where} ({named}) cannot be reached: {reason}"
            ) from fault

    def _configure_role(self, connection: Any) -> bool:
        """Becomes the site's role. Raises DatabaseUnreachable where migrations have never run."""
        try:
            return bool(super()._configure_role(connection))  # type: ignore[misc]
        except psycopg.errors.InvalidParameterValue as fault:
            raise DatabaseUnreachable(
                f"The database {self.settings_dict['NAME']} has never been migrated: run manage.py migrate."
            ) from fault
