"""`/metrics`: the figures of `superapp.metrics`, for Prometheus and for nobody else.

| who asks | answer |
|---|---|
| with METRICS_TOKEN, as `Authorization: Bearer ...` | the figures |
| a sandbox without a token, from the same machine | the figures |
| anybody else | 404, as for any address that does not exist |

A request that a proxy has passed on does not come from this machine, whatever its last hop. The database is given
`superapp.metrics.SCRAPE_SECONDS`; while it is away, counters and latencies are told without it.
"""

import hmac
from ipaddress import ip_address

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from superapp import metrics


@never_cache
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The figures, to whoever may read them."""
    if not _may_read(request):
        raise Http404
    return HttpResponse(metrics.page(), content_type=CONTENT_TYPE_LATEST)


def _may_read(request: HttpRequest) -> bool:
    if settings.METRICS_TOKEN:
        shown = request.headers.get("Authorization", "")
        return hmac.compare_digest(shown.encode(), f"Bearer {settings.METRICS_TOKEN}".encode())
    return settings.SUPERAPP_SANDBOX and "X-Forwarded-For" not in request.headers and _is_this_machine(request)


def _is_this_machine(request: HttpRequest) -> bool:
    try:
        return ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False
