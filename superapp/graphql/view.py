"""GraphQL over HTTP: the one address front ends speak to.

Follows the "GraphQL over HTTP" specification for POST with JSON, both media types of answers; everything else is
refused before a byte of it is parsed.

| what comes | status |
|---|---|
| POST that could be run, or an answer as application/json | 200 |
| a body that is no JSON object with a `query`, or (as graphql-response+json) a document that may not run | 400 |
| a session token that is good for nothing | 401 |
| a cookie session without a matching Origin | 403 |
| another method; GET but for GraphiQL in a sandbox | 405 |
| an Accept header that allows neither media type | 406 |
| more than 64 KB | 413 |
| a Content-Type but application/json in UTF-8: forms, text, multipart | 415 |
| whose request this is cannot be found out now | 503 |

CSRF: no cookie counts without an Origin that is ours, and no other site can send `application/json` or the token header
without being let in by CORS, which nothing here does. So Django's token is not asked for.
"""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from allauth.account.adapter import get_adapter
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from strawberry.types import ExecutionResult

from superapp import sessions
from superapp.counters import OPERATION_SECONDS, refused
from superapp.graphql import graphiql
from superapp.graphql.bounds import MAX_BODY_BYTES
from superapp.graphql.context import Context
from superapp.graphql.masking import FAULTS
from superapp.graphql.schema import Schema
from superapp.ids import uuid7
from superapp.json_bodies import NotJson, decoded
from superapp.models import User

JSON_TYPE = "application/json"
RESPONSE_TYPE = "application/graphql-response+json"

log = structlog.get_logger("superapp.graphql")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


class Refused(Exception):
    """A request that is answered before any GraphQL runs."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Asked:
    """What the body of a request asks for."""

    query: str
    variables: dict[str, Any] | None
    operation_name: str | None


def endpoint(schema: Schema) -> Callable[[HttpRequest], HttpResponse]:
    """The view that answers for `schema`."""

    @csrf_exempt
    def graphql(request: HttpRequest) -> HttpResponse:
        if graphiql.is_wanted(request):
            return graphiql.page(request)
        request_id = _request_id()
        media_type = JSON_TYPE
        try:
            if request.method != "POST":
                raise Refused(405, "BAD_REQUEST", "Send a POST request.")
            media_type = _answer_type(request)
            response = _answer(_run(schema, request, request_id), media_type)
        except Refused as refusal:
            refused(refusal.code)
            log.info("request_refused", code=refusal.code, status=refusal.status)
            body = {"errors": [{"message": refusal.message, "extensions": {"code": refusal.code}}]}
            response = _json(body, media_type, refusal.status)
            if refusal.status == 405:
                response["Allow"] = "GET, POST" if settings.SUPERAPP_SANDBOX else "POST"
        response["X-Request-Id"] = request_id
        response["Cache-Control"] = "no-store"
        return response

    return graphql


def _run(schema: Schema, request: HttpRequest, request_id: str) -> ExecutionResult:
    began = time.perf_counter()
    asked = _read(request)
    context = Context(user=_viewer(request), request_id=request_id, find_address=partial(_address, request))
    if context.user is not None:
        structlog.contextvars.bind_contextvars(person=str(context.user.pk))
    try:
        return schema.execute_sync(
            asked.query, variable_values=asked.variables, context_value=context, operation_name=asked.operation_name
        )
    finally:
        OPERATION_SECONDS.labels(context.operation).observe(time.perf_counter() - began)


def _answer(result: ExecutionResult, media_type: str) -> HttpResponse:
    """An answer without `data` is one to a request that was not run: no error of such a request has a path."""
    errors = [error.formatted for error in result.errors or ()]
    ran = result.data is not None or any(error.get("path") for error in errors)
    body: dict[str, Any] = {"data": result.data} if ran else {}
    if errors:
        body = {"errors": errors, **body}
    return _json(body, media_type, 200 if ran or media_type == JSON_TYPE else 400)


def _json(body: Mapping[str, Any], media_type: str, status: int) -> HttpResponse:
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    return HttpResponse(content, status=status, content_type=f"{media_type}; charset=utf-8")


def _request_id() -> str:
    """The id that every log line of this request carries."""
    bound = structlog.contextvars.get_contextvars().get("request_id")
    if isinstance(bound, str) and _REQUEST_ID.fullmatch(bound):
        return bound
    fresh = str(uuid7())
    structlog.contextvars.bind_contextvars(request_id=fresh)
    return fresh


def _answer_type(request: HttpRequest) -> str:
    """The media type the client likes best; application/json when it does not say."""
    if request.headers.get("Accept", JSON_TYPE) == JSON_TYPE:
        return JSON_TYPE
    offered = [RESPONSE_TYPE, JSON_TYPE]
    wanted = [kind for kind in request.accepted_types if kind.quality > 0]
    for kind in wanted:
        if kind.main_type == "*" or (kind.main_type == "application" and kind.sub_type == "*"):
            return JSON_TYPE
        named = f"{kind.main_type}/{kind.sub_type}"
        if named in offered and kind.params.get("charset", "utf-8").lower() == "utf-8":
            return named
    raise Refused(406, "BAD_REQUEST", f"Answers are {RESPONSE_TYPE} or {JSON_TYPE}.")


def _read(request: HttpRequest) -> Asked:
    charset = request.content_params.get("charset", "utf-8").strip('"').lower() if request.content_params else "utf-8"
    if request.content_type != JSON_TYPE or charset not in {"utf-8", "utf8"} or "Content-Encoding" in request.headers:
        raise Refused(415, "BAD_REQUEST", f"Send {JSON_TYPE} in UTF-8.")
    if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_BODY_BYTES:
        raise Refused(413, "TOO_EXPENSIVE", f"A request has at most {MAX_BODY_BYTES} bytes.")
    body = request.read(MAX_BODY_BYTES + 1)
    if len(body) > MAX_BODY_BYTES:
        raise Refused(413, "TOO_EXPENSIVE", f"A request has at most {MAX_BODY_BYTES} bytes.")
    try:
        return _asked(decoded(body))
    except NotJson as fault:
        raise Refused(400, "BAD_REQUEST", fault.message) from None


def _asked(body: object) -> Asked:
    if not isinstance(body, dict):
        raise Refused(400, "BAD_REQUEST", "The body is one JSON object; requests are not batched.")
    query, variables, name = body.get("query"), body.get("variables"), body.get("operationName")
    if not isinstance(query, str) or not query.strip():
        raise Refused(400, "BAD_REQUEST", "`query` is a GraphQL document.")
    if variables is not None and not isinstance(variables, dict):
        raise Refused(400, "BAD_REQUEST", "`variables` is an object.")
    if name is not None and not isinstance(name, str):
        raise Refused(400, "BAD_REQUEST", "`operationName` is a string.")
    if body.get("extensions") is not None and not isinstance(body["extensions"], dict):
        raise Refused(400, "BAD_REQUEST", "`extensions` is an object.")
    return Asked(query=query, variables=variables, operation_name=name or None)


def _viewer(request: HttpRequest) -> User | None:
    try:
        person = sessions.person_of(request)
    except sessions.Unauthenticated:
        raise Refused(401, "UNAUTHENTICATED", "The session has ended; sign in again.") from None
    except FAULTS:
        raise Refused(503, "UNAVAILABLE", "This cannot be done right now; send the same request again.") from None
    if person is not None and not sessions.carries_token(request) and not sessions.origin_matches(request):
        raise Refused(403, "FORBIDDEN", "A cookie session counts only with the Origin of this site.")
    return person


def _address(request: HttpRequest) -> str:
    """The client's address behind our own proxies; empty over a socket that has none."""
    try:
        address: str = get_adapter(request).get_client_ip(request)
    except PermissionDenied:
        return ""
    return address
