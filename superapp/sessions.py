"""Whose request is this: the one place that turns a token or a cookie into a person.

| the request carries | it is |
|---|---|
| an X-Session-Token that is good | its person; costs one query, which writes nothing |
| an X-Session-Token that is not | `Unauthenticated`: HTTP 401, never the cookie's person |
| no token, a cookie session | its person, if `origin_matches`; the caller asks |
| neither, or a sign-in that still waits for its code or second factor | nobody |

A token is no good when it has expired, was ended, was not made by us, or its person is no longer active. It is
the key of a session with a signature over it: what we did not sign is refused without a query, and the key in a
browser's cookie is no token. Signing in, signing out and expiry are allauth's and the session table's.

A token made for someone who had signed in also names them, which decides nothing: it lets the session and the person be read
together, and with them what every request asks next, the clock's distance and the policies' edition. What then does not
plainly fit together (another person in the session, another password since, a rotated key) is left to allauth's own check.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from allauth.headless.internal import sessionkit
from allauth.headless.tokens.strategies.base import AbstractTokenStrategy
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.db import SessionStore
from django.core.signing import BadSignature, Signer
from django.db import DEFAULT_DB_ALIAS
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.http import is_same_domain

from superapp import clock, policies
from superapp.models import User
from superapp.prepared import run

TOKEN_HEADER = "X-Session-Token"  # noqa: S105 - the name of a header
_TOKEN_LENGTH = 200
_signer = Signer(salt="superapp.sessions.token")

_FIELDS = tuple(field for field in User._meta.concrete_fields)

_READ_SQL = f"""
    SELECT s.session_data, i.clock_offset, p.*, {", ".join(f"u.{field.column}" for field in _FIELDS)}
    FROM django_session s
    JOIN superapp_user u ON u.id = %s::uuid
    LEFT JOIN superapp_installation i ON i.id = 1
    CROSS JOIN ({policies.EDITION_SQL}) p
    WHERE s.session_key = %s::text AND s.expire_date > %s::timestamptz
"""


class Unauthenticated(Exception):
    """The request carries a token that is good for nothing. The answer is HTTP 401."""


class SignedTokens(AbstractTokenStrategy):  # type: ignore[misc]  # allauth has no types
    """allauth's token strategy: session keys, signed."""

    def create_session_token(self, request: HttpRequest) -> str:
        """The token of the request's session, which is saved if it was not yet."""
        if not request.session.session_key:
            request.session.save()
        return _token(request.session)

    def lookup_session(self, session_token: str) -> SessionBase | None:
        """The session of a token; None when it is not signed by us, has expired or has ended. One query."""
        read = _read_token(session_token)
        if read is None:
            return None
        session: SessionBase | None = sessionkit.lookup_session(read[0])
        return session


def person_of(request: HttpRequest) -> User | None:
    """The person who makes this request, or None for nobody. Raises Unauthenticated for a bad token.

    The caller refuses a cookie's person unless `origin_matches(request)`; a token needs no such check, because no
    browser sends it by itself.
    """
    token = request.headers.get(TOKEN_HEADER)
    if token is not None:
        person = _person_of_token(token)
        if person is not None:
            return person
        found = sessionkit.authenticate_by_x_session_token(token)
        if found is None:
            raise Unauthenticated
        authenticated: User = found[0]
        return authenticated
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
    return _token(session)


def _token(session: SessionBase) -> str:
    """The session's key, and after a dot who has signed in, if anyone; signed."""
    person = session.get(SESSION_KEY)
    return _signer.sign(f"{session.session_key}.{UUID(person).hex}" if person else str(session.session_key))


def key_of(token: str) -> str | None:
    """The key of the session a token was made for, which may have ended since; None when it is not signed by us. No query."""
    read = _read_token(token)
    return None if read is None else read[0]


def _read_token(token: str) -> tuple[str, UUID | None] | None:
    """The session's key and whom the token was made for; None when it is not signed by us."""
    if len(token) > _TOKEN_LENGTH:
        return None
    try:
        session_key, _, person = _signer.unsign(token).partition(".")
    except BadSignature:
        return None
    return session_key, UUID(person) if person else None


def _person_of_token(token: str) -> User | None:
    """The person, where session and person are there and fit together; None leaves it to allauth, which may still agree."""
    read = _read_token(token)
    if read is None or read[1] is None:
        return None
    for session_data, offset, versions, numbers, *columns in run(_READ_SQL, (read[1], read[0], timezone.now())):
        session = SessionStore().decode(session_data)
        person = User.from_db(DEFAULT_DB_ALIAS, [field.attname for field in _FIELDS], columns)
        if _has_signed_in(person, session):
            clock.know_offset(offset)
            policies.know_edition(versions, numbers)
            return person
    return None


def _has_signed_in(person: User, session: Mapping[str, Any]) -> bool:
    """What `django.contrib.auth.get_user` asks of a session and its person; False wherever it would have to think."""
    return (
        person.is_active
        and session.get(SESSION_KEY) == str(person.pk)
        and session.get(BACKEND_SESSION_KEY) in settings.AUTHENTICATION_BACKENDS
        and constant_time_compare(session.get(HASH_SESSION_KEY) or "", person.get_session_auth_hash())
    )


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
