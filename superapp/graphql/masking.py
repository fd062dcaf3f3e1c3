"""What leaves in top-level `errors`, and what the log is told of it.

| where it came from | `extensions.code` | message |
|---|---|---|
| `ApiError` of ours | its own | its own |
| `RateLimited` outside a union | RATE_LIMITED, `retryAt` | its own |
| `Unavailable`, the database or the cache not answering in time | UNAVAILABLE | one generic sentence |
| the document or its variables (no path) | BAD_REQUEST | rebuilt without any value |
| anything else | INTERNAL, `id` of the log line | one generic sentence |

The log gets code, path, id, and for INTERNAL the exception's type and the places in the code: never its text, which may
quote a value, nor the document, which may hold a PIN.
"""

import re
import traceback
from collections.abc import Iterable

import structlog
from django.db import InterfaceError, OperationalError
from graphql import GraphQLError
from redis.exceptions import RedisError

from superapp.counters import refused
from superapp.errors import RateLimited, Unavailable
from superapp.graphql.errors import ApiError
from superapp.ids import uuid7

MAX_ERRORS = 5

FAULTS = (Unavailable, OperationalError, InterfaceError, RedisError, ConnectionError, TimeoutError)
"""What the database, the cache or the network raise when they do not answer (in time)."""

log = structlog.get_logger("superapp.graphql")

_HINT = re.compile(r"\s*Did you mean\b.*", re.DOTALL)
_VARIABLE = re.compile(r"Variable '\$(\w+)' has invalid (?:default )?value(?: at \.?([\w.\[\]]+))?")
_REQUIRED = re.compile(r"Expected value of type '([\w!\[\]]+)' to include required field '(\w+)'")
_UNKNOWN = re.compile(r"Expected value of type '([\w!\[\]]+)' not to include unknown field")
_NULL = re.compile(r"Expected (?:a )?value of non-null type")
_TYPED = re.compile(r"(?:Expected value of type '([\w!\[\]]+)'|(\w+) cannot represent|Enum '(\w+)' cannot represent)")


def masked(errors: Iterable[GraphQLError] | None) -> list[GraphQLError] | None:
    """The errors as the client gets them, at most `MAX_ERRORS`. What was refused is one line in the log, a fault one each."""
    if not errors:
        return None
    told = [_masked(error) for error in list(errors)[:MAX_ERRORS]]
    refusals = [error for error in told if (error.extensions or {})["code"] != "INTERNAL"]
    if refusals:
        code = str((refusals[0].extensions or {})["code"])
        refused(code)
        log.info("graphql_refused", code=code, path=_path(refusals[0]), errors=len(refusals))
    return told


def unavailable(cause: BaseException) -> bool:
    """Whether an exception says that the system could not answer, rather than that it is wrong."""
    return isinstance(cause, FAULTS)


def value_problem(message: str) -> str:
    """What is wrong with a value, from graphql-core's sentence about it, without the value."""
    if found := _REQUIRED.match(message):
        return f"the required field '{found[2]}' is missing"
    if found := _UNKNOWN.match(message):
        return f"it has a field that '{found[1]}' does not have"
    if _NULL.match(message):
        return "it must not be null"
    if found := _TYPED.match(message):
        return f"it does not fit the type '{found[1] or found[2] or found[3]}'"
    return "it does not fit its type"


def _masked(error: GraphQLError) -> GraphQLError:
    causes = list(_chain(error))
    for cause in causes:
        if isinstance(cause, ApiError):
            return _told(error, _message(error, cause), dict(cause.extensions or {}))
        if isinstance(cause, RateLimited):
            return _told(error, cause.message, {"code": cause.code, "retryAt": cause.retry_at.isoformat()})
        if unavailable(cause):
            return _told(error, "This cannot be done right now; send the same request again.", {"code": "UNAVAILABLE"})
    if all(isinstance(cause, GraphQLError) for cause in causes) and (
        error.path is None or error.message.startswith("Argument '")
    ):
        return _told(error, _request_problem(error), {"code": "BAD_REQUEST"})
    return _internal(error, causes[-1])


def _chain(error: BaseException) -> Iterable[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.original_error if isinstance(cause, GraphQLError) else None


def _message(error: GraphQLError, cause: ApiError) -> str:
    where = _VARIABLE.match(error.message)
    return f"{_place(where)}: {cause.message}" if where else cause.message


def _place(found: "re.Match[str]") -> str:
    return f"Variable '${found[1]}'" + (f" at '{found[2]}'" if found[2] else "")


def _request_problem(error: GraphQLError) -> str:
    message = error.message
    if message.startswith("Syntax Error"):
        return "The document cannot be read; see its location."
    if where := _VARIABLE.match(message):
        inner = error.original_error.message if isinstance(error.original_error, GraphQLError) else ""
        return f"{_place(where)}: {value_problem(inner)}."
    if message.startswith("Argument '"):
        return "An argument does not fit its type."
    return _HINT.sub("", message)


def _told(error: GraphQLError, message: str, extensions: dict[str, object]) -> GraphQLError:
    return GraphQLError(message, error.nodes, error.source, error.positions, error.path, extensions=extensions)


def _internal(error: GraphQLError, cause: BaseException) -> GraphQLError:
    incident = str(uuid7())
    refused("INTERNAL")
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(cause.__traceback__)]
    log.error(
        "graphql_internal_error",
        code="INTERNAL",
        id=incident,
        path=_path(error),
        exception=f"{type(cause).__module__}.{type(cause).__qualname__}",
        frames=frames[-12:],
    )
    extensions = {"code": "INTERNAL", "id": incident}
    return GraphQLError("Something went wrong on our side.", path=error.path, extensions=extensions)


def _path(error: GraphQLError) -> str:
    return ".".join(str(part) for part in error.path or ())
