"""Structured logs with request ids, without secrets: readable lines in a sandbox, one JSON object a line in production.

What is logged through the standard library takes the same path. Each request is one line when it is done, each failed
task one; what sweeps do every few seconds is at DEBUG. LOG_LEVEL says how much is shown.
"""

import logging
import sys
from typing import Any

import structlog

from config.settings.environment import SANDBOX, env
from superapp.logs import mask_people, mask_secrets, stamp_time_of_day

LOG_LEVEL = env.str("LOG_LEVEL", default="INFO").upper()

_MASKS: list[Any] = [mask_secrets] if SANDBOX else [mask_secrets, mask_people]

_EVERY_EVENT: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.ExtraAdder(),
    stamp_time_of_day if SANDBOX else structlog.processors.TimeStamper(fmt="iso", utc=True),
]

_RENDERED: list[Any] = (
    [
        *_MASKS,
        # Where rich is installed, structlog's own choice prints local variables: PINs and passwords among them.
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
        ),
    ]
    if SANDBOX
    else [structlog.processors.format_exc_info, *_MASKS, structlog.processors.JSONRenderer(ensure_ascii=False)]
)

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "events": {
            "()": structlog.stdlib.ProcessorFormatter,
            "foreign_pre_chain": _EVERY_EVENT,
            "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_RENDERED],
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "events"}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        # Django names its own handlers; ours at the root is enough. Requests are told once, by django_structlog.
        "django": {"handlers": [], "level": LOG_LEVEL, "propagate": True},
        "django.request": {"level": "CRITICAL"},
        "django.server": {"handlers": [], "level": "WARNING", "propagate": True},
        # Two lines per task and sweep would bury everything else.
        "celery.app.trace": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.worker.request": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
    },
}

structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *_EVERY_EVENT,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.StackInfoRenderer(),
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True,
)

DJANGO_STRUCTLOG_STATUS_START_LOG_LEVEL = logging.DEBUG
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False
"""Addresses are people's; limits that need them do not read them from the log."""
DJANGO_STRUCTLOG_USER_ID_FIELD = ""
"""Finding out whose request it is costs queries; the API adds the person to the context when it has done so itself."""
