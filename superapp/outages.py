"""What the site answers while something it leans on is away, or is asked for too often."""

import logging
from collections.abc import Callable

from allauth.core.exceptions import RateLimited
from allauth.core.internal.ratelimit import respond_429
from django.http import HttpRequest, HttpResponse, JsonResponse
from redis.exceptions import RedisError

from superapp.deliveries import NotDelivered

logger = logging.getLogger("superapp.outages")

RETRY_AFTER_SECONDS = 5

GetResponse = Callable[[HttpRequest], HttpResponse]


class UnavailableMiddleware:
    """Answers 503 with a typed code where a view cannot do without the cache, the SMS gateway or the mail server.

    Only sign-in and sign-up need them, and they fail closed: attempts that cannot be counted are not made. A code asked
    for again too soon is 429, which allauth leaves to its caller where a code is sent in the middle of a sign-up.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """The answer to a view's exception, or None for those that are not ours."""
        if isinstance(exception, RateLimited):
            limited: HttpResponse = respond_429(request)
            return limited
        if not isinstance(exception, RedisError | NotDelivered):
            return None
        return unavailable(request, exception)


def unavailable(request: HttpRequest, fault: Exception) -> HttpResponse:
    """The 503 of what cannot be done now, with a line in the log that names the fault and the place."""
    place = request.resolver_match.route if request.resolver_match else ""
    logger.error("%s is not available at %s", type(fault).__name__, place)
    answer = JsonResponse({"status": 503, "errors": [{"code": "unavailable"}]}, status=503)
    answer["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return answer
