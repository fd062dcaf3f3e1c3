"""How often a code may be looked at: the codes of sign-up, sign-in, new addresses, reset passwords and second factors.

allauth gives a code three tries, which it counts in the session: of a hundred guesses that come at once, each finds the count
at nought. So every look is counted here first, in the cache, where counting is one step, by the session it is made in. A guess
beyond the limit is answered 429 and never compared. While the cache is away nothing is looked at (503).
"""

import re

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from redis.exceptions import RedisError

from superapp import outages, rate_limits, sessions
from superapp.counters import refused
from superapp.errors import RateLimited

TRIES = rate_limits.Limit(name="code_tries", most=10, window_seconds=15 * 60)
"""Looks of one session: three codes' worth, and one for good measure. A code lives no longer than the window."""

_LOOKS_AT_A_CODE = re.compile(
    r"/_allauth/(?:app|browser)/v1/(?:"
    r"auth/(?:email/verify|phone/verify|code/confirm|password/reset|2fa/authenticate|2fa/reauthenticate)|account/phone"
    r")|/accounts/(?:confirm-email|verify-phone|login/code/confirm|password/reset|2fa/(?:re)?authenticate)/.*"
)


class CodeTriesMiddleware:
    """Stands in front of the views that compare a code."""

    def __init__(self, get_response: outages.GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Counts where a code may be compared, whatever the method."""
        for session in _sessions_of(request) if _LOOKS_AT_A_CODE.fullmatch(request.path_info) else ():
            try:
                rate_limits.count(TRIES, session)
            except RateLimited as limited:
                refused(limited.code)
                return JsonResponse({"status": 429, "errors": [{"code": "rate_limited"}]}, status=429)
            except RedisError as fault:
                return outages.unavailable(request, fault)
        return self.get_response(request)


def _sessions_of(request: HttpRequest) -> set[str]:
    """The sessions in which a code may be tried: the cookie's and the token's, for which of the two a view goes by is the
    view's affair, and a browser's view is not asked about tokens. None: there is no code either.
    """
    token = request.headers.get(sessions.TOKEN_HEADER)
    named = (request.COOKIES.get(settings.SESSION_COOKIE_NAME), None if token is None else sessions.key_of(token))
    return {session for session in named if session}
