"""Requests of the API that bring a session token pass by what only cookies and pages need.

| middleware | what it would do | why a token's request can do without |
|---|---|---|
| sessions | tie the cookie's session to the request | a token never falls back to the cookie (`superapp.sessions`) |
| authentication | tie the cookie's person to it | the same |
| messages | what a page shows after a form | the API has no pages |

Every other address, and the API without a token, goes through all of them.
"""

from typing import Any

from django.contrib.auth import middleware as auth
from django.contrib.messages import middleware as messages
from django.contrib.sessions import middleware as sessions
from django.http import HttpRequest
from django.utils.deprecation import MiddlewareMixin

API = "/graphql/"
_TOKEN = "HTTP_X_SESSION_TOKEN"  # noqa: S105 - the name of a header


class _ForPages(MiddlewareMixin):
    """Stands aside for a token's POST to the API."""

    def __call__(self, request: HttpRequest) -> Any:
        """The answer of what comes next, alone or with what the middleware adds."""
        if request.path_info == API and request.method == "POST" and _TOKEN in request.META:
            return self.get_response(request)
        return super().__call__(request)


class SessionMiddleware(_ForPages, sessions.SessionMiddleware):
    """Django's, for pages."""


class AuthenticationMiddleware(_ForPages, auth.AuthenticationMiddleware):
    """Django's, for pages."""


class MessageMiddleware(_ForPages, messages.MessageMiddleware):
    """Django's, for pages."""
