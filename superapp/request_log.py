"""The line of each request, and its count: what was asked for, what it came to, under which request id.

An address is logged as its route, never as it was typed: a query string may hold a document with a PIN, and some of the
sign-in pages take a one-time key in their path.
"""

import logging
import uuid
from typing import Any

import structlog
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve
from django_structlog.app_settings import app_settings
from django_structlog.middlewares import RequestMiddleware

from superapp.counters import RESPONSES

AREAS = {
    "graphql": "graphql",
    "_allauth": "sign_in",
    "accounts": "sign_in",
    "admin": "admin",
    "livez": "health",
    "readyz": "health",
    "metrics": "health",
}
"""The parts of the site, by the first word of an address; any other is counted as `other`."""

UNKNOWN_ADDRESS = "(no such address)"


def count(path: str, status: int) -> None:
    """Counts an answer, by part of the site."""
    RESPONSES.labels(AREAS.get(path.strip("/").split("/")[0], "other"), str(status)).inc()


_LOGGER = "django_structlog.middlewares.request"
"""The library's, under whose name its lines are known."""

_lines = structlog.get_logger(_LOGGER)
_known = logging.getLogger(_LOGGER)


class RequestLog(RequestMiddleware):
    """Binds a request id to every log line of a request, and writes and counts one line when it is done."""

    def prepare(self, request: HttpRequest) -> None:
        """Binds a fresh id, as the library does, and leaves out its line of a request's beginning where nobody would see it."""
        if _known.isEnabledFor(app_settings.STATUS_START_LOG_LEVEL):
            super().prepare(request)
        else:
            structlog.contextvars.bind_contextvars(request_id=str(uuid.uuid4()))

    def handle_response(self, request: HttpRequest, response: HttpResponse) -> None:
        """Writes and counts. A failed view's line and a streamed answer's are the library's affair."""
        count(request.path_info, response.status_code)
        if response.streaming or hasattr(request, "_raised_exception"):
            super().handle_response(request, response)
            return
        _lines.log(
            self._log_level_for_status_code(response.status_code),
            "request_finished",
            code=response.status_code,
            request=self.format_request(request),
        )
        structlog.contextvars.clear_contextvars()

    @staticmethod
    def format_request(request: HttpRequest) -> str:
        """The method and the route, such as `POST graphql/`."""
        return f"{_method(request)} {_route(request)}"


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})


def _method(request: HttpRequest) -> str:
    return request.method if request.method in _METHODS else "(no such method)"


def _route(request: HttpRequest) -> str:
    match: Any = request.resolver_match
    if match is None:
        try:
            match = resolve(request.path_info)
        except Resolver404:
            return UNKNOWN_ADDRESS
    return str(match.route)
