"""Workers and what they share: the broker is a doorbell, the database is the queue of record.

REDIS_URL names the server of the cache (and of the broker); CELERY_BROKER_URL names another broker. Without REDIS_URL the
embedded Valkey of `.local/` serves.
"""

from typing import Any

from config.engines.home import home
from config.settings.environment import PROCESS, SANDBOX, env

EMBEDDED_VALKEY = not env.str("REDIS_URL", default="")

_BROKER, _CACHE = 0, 1
"""Databases of the embedded Valkey."""


def _redis_url() -> str:
    """The cache's server. Raises SystemExit with one sentence."""
    if not EMBEDDED_VALKEY:
        url: str = env.str("REDIS_URL")
        if not url.startswith(("redis://", "rediss://", "unix://")):
            raise SystemExit("REDIS_URL does not name a server: it reads redis://:password@host:6379/0.")
        return url
    if not SANDBOX:
        raise SystemExit("REDIS_URL must be set when SUPERAPP_MODE=production.")
    return home().redis_url(_CACHE)


def _broker_url() -> str:
    """The broker: CELERY_BROKER_URL, or the server of REDIS_URL, or the embedded Valkey. Raises SystemExit."""
    url: str = env.str("CELERY_BROKER_URL", default="")
    if not url:
        return home().broker_url(_BROKER) if EMBEDDED_VALKEY else REDIS_URL.replace("unix://", "redis+socket://", 1)
    if "://" not in url:
        raise SystemExit("CELERY_BROKER_URL does not name a broker: it reads redis://:password@host:6379/0.")
    return url


REDIS_URL = _redis_url()

CACHES: dict[str, Any] = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "superapp",
        "OPTIONS": {"socket_timeout": 0.3 if PROCESS == "web" else 3.0},
    }
}

CELERY_BROKER_URL = _broker_url()
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
"""A worker never gives up on its broker."""
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 600,
    # A publisher gives up within 0.3 s: the doorbell was not heard, the sweep comes by.
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.2,
    "interval_max": 0.2,
    "socket_connect_timeout": 0.3,
    **({"socket_timeout": 0.3} if PROCESS == "web" else {}),
}

CELERY_TASK_SERIALIZER = "json"
CELERY_RESULT_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_DEFAULT_QUEUE = env.str("CELERY_TASK_DEFAULT_QUEUE", default="superapp")
"""Sites that share a broker need a queue each."""
CELERY_TASK_IGNORE_RESULT = True

CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_SOFT_TIME_LIMIT = 240
CELERY_TASK_TIME_LIMIT = 300
"""Seconds; below the visibility time, or a task still at work would be handed out again."""
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_PROC_ALIVE_TIMEOUT = 30.0
CELERY_DB_REUSE_MAX = 10_000
"""For how many tasks a worker keeps its database session; without a number Celery ends it before and after each. A new one
knows no table, no plan and no page yet. Each task asks first whether the session is still there (`config.celery`)."""

CELERY_BEAT_SCHEDULER = "config.celery:JobScheduler"
CELERY_TIMEZONE = "UTC"
"""Beat counts seconds. Business time is the jobs' own matter."""
