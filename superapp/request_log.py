"""The line of each request, and its count: what was asked for, what it came to, under which request id.

An address is logged as its route, never as it was typed: a query string may hold a document with a PIN, and some of the
sign-in pages take a one-time key in their path.
"""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve
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


class RequestLog(RequestMiddleware):
    """Binds a request id to every log line of a request, and writes and counts one line when it is done."""

    def handle_response(self, request: HttpRequest, response: HttpResponse) -> None:
        """Writes and counts."""
        count(request.path_info, response.status_code)
        super().handle_response(request, response)

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
