"""Whose request is this: the one place that turns a token or a cookie into a person.

| the request carries | it is |
|---|---|
| an X-Session-Token that is good | its person; costs two queries (session, person) and writes nothing |
| an X-Session-Token that is not | `Unauthenticated`: HTTP 401, never the cookie's person |
| no token, a cookie session | its person, if `origin_matches`; the caller asks |
| neither, or a sign-in that still waits for its code or second factor | nobody |

A token is no good when it has expired, was ended, was not made by us, or its person is no longer active. It is
the key of a session with a signature over it: what we did not sign is refused without a query, and the key in a
browser's cookie is no token. Signing in, signing out and expiry are allauth's and the session table's.
"""

from urllib.parse import urlsplit

from allauth.headless.internal import sessionkit
from allauth.headless.tokens.strategies.base import AbstractTokenStrategy
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase
from django.core.signing import BadSignature, Signer
from django.http import HttpRequest
from django.utils.http import is_same_domain

from superapp.models import User

TOKEN_HEADER = "X-Session-Token"  # noqa: S105 - the name of a header
_TOKEN_LENGTH = 200
_signer = Signer(salt="superapp.sessions.token")


class Unauthenticated(Exception):
    """The request carries a token that is good for nothing. The answer is HTTP 401."""


class SignedTokens(AbstractTokenStrategy):  # type: ignore[misc]  # allauth has no types
    """allauth's token strategy: session keys, signed."""

    def create_session_token(self, request: HttpRequest) -> str:
        """The token of the request's session, which is saved if it was not yet."""
        if not request.session.session_key:
            request.session.save()
        return _signer.sign(str(request.session.session_key))

    def lookup_session(self, session_token: str) -> SessionBase | None:
        """The session of a token; None when it is not signed by us, has expired or has ended. One query."""
        if len(session_token) > _TOKEN_LENGTH:
            return None
        try:
            session_key = _signer.unsign(session_token)
        except BadSignature:
            return None
        session: SessionBase | None = sessionkit.lookup_session(session_key)
        return session


def person_of(request: HttpRequest) -> User | None:
    """The person who makes this request, or None for nobody. Raises Unauthenticated for a bad token.

    The caller refuses a cookie's person unless `origin_matches(request)`; a token needs no such check, because no
    browser sends it by itself.
    """
    token = request.headers.get(TOKEN_HEADER)
    if token is not None:
        found = sessionkit.authenticate_by_x_session_token(token)
        if found is None:
            raise Unauthenticated
        person: User = found[0]
        return person
    return request.user if isinstance(request.user, User) else None


def open_session(person: User) -> str:
    """The token of a new session of this person, without a sign-in: for the seed, benchmarks and tests.

    Ends like any other: by sign-out, expiry, a changed password or a person made inactive.
    """
    session: SessionBase = sessionkit.new_session()
    session[SESSION_KEY] = str(person.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = person.get_session_auth_hash()
    session.create()
    return _signer.sign(str(session.session_key))


def carries_token(request: HttpRequest) -> bool:
    """Whether the request brings a session token, good or bad."""
    return TOKEN_HEADER in request.headers


def origin_matches(request: HttpRequest) -> bool:
    """Whether a browser says that the request comes from this site or from one of CSRF_TRUSTED_ORIGINS.

    A request without an Origin header does not match: every browser sends one with a POST.
    """
    origin = request.headers.get("Origin", "")
    if origin == f"{request.scheme}://{request.get_host()}":
        return True
    if origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    try:
        given = urlsplit(origin)
    except ValueError:
        return False
    return any(
        given.scheme == trusted.scheme and is_same_domain(given.netloc, trusted.netloc.removeprefix("*"))
        for trusted in map(urlsplit, settings.CSRF_TRUSTED_ORIGINS)
        if trusted.netloc.startswith("*.")
    )
