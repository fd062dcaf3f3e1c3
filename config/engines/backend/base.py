"""The database backend of the site: Django's own, and six things more.

- It starts the embedded engines when a command or a test connects for the first time. A serving process (web,
  worker, beat) starts them once, when it begins, and never again: a stopped database must answer at once, not revive.
- A server older than PostgreSQL 18 is refused.
- A server that cannot be reached is one sentence, still an OperationalError to whoever handles it.
- Statements that the database ended (time-outs, deadlocks, lost connections) are counted for operators.
- Whether a kept session is still there is seen at its socket, without asking the server: one round trip less a request.
- A request's deadline bounds its statements and waits for locks, once what is left of it is less than the session's own limits.
"""

import math
import select
import time
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

WEB_STATEMENT_SECONDS, WEB_LOCK_SECONDS = 1.5, 1.0
"""A web session's own limits, from `config.settings.database`: earlier than that nothing need be lowered."""

NOT_WORTH_LOWERING_SECONDS = 0.05


class DatabaseUnreachable(OperationalError):
    """The database server refuses us or is not there."""


class DeadlinePassed(OperationalError):
    """The time that a request has is over; its next statement is not sent."""


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

    deadline: float | None = None
    """On the clock of time.monotonic(): when whoever uses the connection must have an answer; None: no such time."""

    _limited_to_seconds = math.inf
    """What its limits have been lowered to."""

    _lowered = False

    def ensure_connection(self) -> None:
        """A connection, with limits that end before the deadline. Raises DeadlinePassed, DatabaseUnreachable."""
        if self.deadline is None:
            super().ensure_connection()
            return
        self._left_seconds()
        super().ensure_connection()
        left = self._left_seconds()
        if left < min(self._limited_to_seconds, WEB_STATEMENT_SECONDS) - NOT_WORTH_LOWERING_SECONDS:
            self._limit_to(left)

    def lift_deadline(self) -> None:
        """Whoever used the connection is done: the session has its own limits again."""
        self.deadline = None
        self._limited_to_seconds = math.inf
        if self._lowered and self.connection is not None:
            self._lowered = False
            try:
                self.connection.execute("RESET statement_timeout; RESET lock_timeout")
            except psycopg.Error:
                self.close()

    def is_usable(self) -> bool:
        """Whether the session is still there: an idle one whose socket has something to say has most likely ended."""
        if self.errors_occurred or self.connection is None or self.connection.closed:
            return super().is_usable()
        if self.connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            return super().is_usable()
        watch = select.poll()
        watch.register(self.connection.fileno(), select.POLLIN)
        return super().is_usable() if watch.poll(0) else True

    def init_connection_state(self) -> None:
        """A new session has its own limits."""
        self._limited_to_seconds, self._lowered = math.inf, False
        super().init_connection_state()

    def set_autocommit(self, autocommit: bool, force_begin_transaction_with_broken_autocommit: bool = False) -> None:
        """What a transaction begins and ends with. That it ends is said in time or not at all: it has ended."""
        deadline = self.deadline
        if autocommit:
            self.deadline = None
        try:
            super().set_autocommit(autocommit, force_begin_transaction_with_broken_autocommit)
        finally:
            self.deadline = deadline

    def _rollback(self) -> None:
        """Rolls back, and with it whatever limits were lowered since the transaction began."""
        self._limited_to_seconds = math.inf
        super()._rollback()  # type: ignore[misc]

    def _savepoint_rollback(self, sid: str) -> None:
        self._limited_to_seconds = math.inf
        super()._savepoint_rollback(sid)  # type: ignore[misc]

    def _left_seconds(self) -> float:
        left = (self.deadline or math.inf) - time.monotonic()
        if left <= 0:
            raise DeadlinePassed("The request has used up its time.")
        return left

    def _limit_to(self, seconds: float) -> None:
        status = self.connection.info.transaction_status
        if status == psycopg.pq.TransactionStatus.INERROR:
            return
        if status == psycopg.pq.TransactionStatus.IDLE and not self.connection.autocommit:
            return  # between two transactions: one more statement would begin a third
        statement, lock = int(seconds * 1000) + 1, int(min(seconds, WEB_LOCK_SECONDS) * 1000) + 1
        with self.wrap_database_errors:
            self.connection.execute(f"SET statement_timeout = {statement}; SET lock_timeout = {lock}")
        self._limited_to_seconds, self._lowered = seconds, True

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
