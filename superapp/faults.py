"""Telling faults of the database apart: those worth another try at once, and those a client should come back for."""

from django.db import DatabaseError, InterfaceError, OperationalError

_ANOTHER_TRY = {"40P01", "40001"}
"""deadlock_detected, serialization_failure: the transaction is gone, the next one will most likely pass."""

_COME_BACK = {"55P03", "57014", "25P03", "25P04"}
"""lock_not_available, query_canceled, and a transaction idle or open for too long: a time limit of the session ended a wait,
a statement, or the session itself."""

_COME_BACK_CLASSES = {"08", "40", "53", "57"}
"""Connection lost, transaction rolled back, out of resources (disk, memory, connections), shut down by an operator."""


KINDS = {
    "40P01": "deadlock",
    "40001": "serialization",
    "55P03": "lock_timeout",
    "57014": "statement_timeout",
    "25P03": "idle_timeout",
    "25P04": "idle_timeout",
}


def sqlstate_of(fault: BaseException) -> str | None:
    """PostgreSQL's five-character code of an error that Django or psycopg raised; None if the server never answered."""
    state = getattr(fault.__cause__, "sqlstate", None) or getattr(fault, "sqlstate", None)
    return state if isinstance(state, str) else None


def deserves_another_try(fault: DatabaseError) -> bool:
    """Whether the whole transaction, done again at once, will most likely succeed."""
    return sqlstate_of(fault) in _ANOTHER_TRY


def is_outage(fault: DatabaseError | InterfaceError) -> bool:
    """Whether this says 'not now' rather than 'never': time limits, lost connections, a server that is full or going down.

    A server that never answered has no code: it could not be reached, or the connection ended under us. What a client
    library itself refuses to send has no code either, and will be refused the next time too.
    """
    state = sqlstate_of(fault)
    if state is None:
        return isinstance(fault, OperationalError | InterfaceError)
    return state in _COME_BACK or state[:2] in _COME_BACK_CLASSES


def kind_of(fault: BaseException) -> str | None:
    """The kind an operator counts a database's fault under, or None for what says that our SQL was refused, as a rule may."""
    state = sqlstate_of(fault)
    if state is None:
        return "connection_lost" if isinstance(fault, OperationalError | InterfaceError) else None
    if state[:2] in {"08", "57"} and state not in KINDS:
        return "connection_lost"
    return KINDS.get(state, "out_of_resources" if state[:2] == "53" else None)
