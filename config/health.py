"""Whether this process lives (`/livez`) and whether it should be given work (`/readyz`).

`/livez` asks nobody. `/readyz` is 200 while the database answers with every migration applied and the broker can be
reached. Beat's age is shown and called late after a minute, but a late beat takes no web server out of service: what is
asked of the web is durable and answered without it.
"""

import time
from collections.abc import Callable, Iterator

import redis
from django.conf import settings
from django.core.cache import cache as shared
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from kombu.connection import Connection
from kombu.exceptions import KombuError

from superapp import metrics

BEAT_LATE_AFTER_SECONDS = 60
BEAT_KEY = "beat"


def note_beat() -> None:
    """A worker was poked by beat just now."""
    shared.set(BEAT_KEY, time.time(), timeout=None)


@never_cache
@require_safe
def livez(_request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return JsonResponse({"live": True})


@never_cache
@require_safe
def readyz(_request: HttpRequest) -> HttpResponse:
    """Each part's state, and 200 when this process can serve."""
    database = _answers(_ask_database)
    parts = {"database": database, "migrations": database and _answers(_is_migrated), "broker": _answers(_ask_broker)}
    age = _beat_age_seconds()
    ready = all(parts.values())
    return JsonResponse(
        {
            "ready": ready,
            **{name: "ok" if well else "down" for name, well in parts.items()},
            "beat": {"age_seconds": age, "late": age is None or age > BEAT_LATE_AFTER_SECONDS},
        },
        status=200 if ready else 503,
    )


def _answers(ask: Callable[[], bool]) -> bool:
    try:
        return ask()
    except (DatabaseError, redis.RedisError, KombuError, OSError):
        return False


def _ask_database() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return True


def _is_migrated() -> bool:
    """Whether nothing is left to migrate. Once so, it stays so while this code runs, and is not asked again."""
    if not _settled:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return False
        _settled.append(True)
    return True


_settled: list[bool] = []


def _ask_broker() -> bool:
    with Connection(  # type: ignore[no-untyped-call]
        settings.CELERY_BROKER_URL, transport_options=settings.CELERY_BROKER_TRANSPORT_OPTIONS, connect_timeout=1
    ) as broker:
        broker.ensure_connection(max_retries=1, interval_start=0, timeout=1)
    return True


def _beat_age_seconds() -> float | None:
    """Seconds since beat last poked a worker that answered; None: never, or nobody can say."""
    try:
        noted = shared.get(BEAT_KEY)
    except (redis.RedisError, OSError):
        return None
    return round(time.time() - noted, 1) if noted is not None else None


def _beat_age() -> Iterator[metrics.Row]:
    age = _beat_age_seconds()
    if age is not None:
        yield (), age


metrics.reading(
    "superapp_beat_age_seconds",
    "How long ago beat last reached a worker; absent: never, or the cache does not answer.",
    read=_beat_age,
)
