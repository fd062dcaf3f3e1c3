"""Requests that make no sense are answered before code that is not ours stumbles over them.

| what comes | what becomes of it |
|---|---|
| a session cookie that cannot be a session's key | it is left aside: nobody is signed in by it |
| NUL in a query string, which no database text can hold | 400 |
| a body for the sign-in API that is not JSON as we take it, or too long | 400, 413 |

The GraphQL endpoint reads its bodies itself, in the same way (`superapp.json_bodies`).
"""

import re
from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse

from superapp.json_bodies import NotJson, decoded

SIGN_IN_API = "/_allauth/"

_SESSION_KEY = re.compile(r"[0-9A-Za-z]{8,64}", re.ASCII)


class WellFormedMiddleware:
    """Stands before the session's middleware, which looks a cookie up as it is."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        cookie = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
        if cookie is not None and not _SESSION_KEY.fullmatch(cookie):
            del request.COOKIES[settings.SESSION_COOKIE_NAME]
        if "%00" in request.META.get("QUERY_STRING", ""):
            return _refused("invalid_query", "A query string cannot hold NUL.")
        if request.path_info.startswith(SIGN_IN_API) and request.method != "GET":
            try:
                if request.body:
                    decoded(request.body)
            except RequestDataTooBig:
                return _refused("too_long", f"A body has at most {settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes.", 413)
            except NotJson as fault:
                return _refused("invalid_json", fault.message)
        return self.get_response(request)


def _refused(code: str, message: str, status: int = 400) -> JsonResponse:
    return JsonResponse({"status": status, "errors": [{"message": message, "code": code}]}, status=status)
