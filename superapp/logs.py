"""What is kept out of the logs: secrets always, people's numbers in production.

Processors for structlog: each gets an event as a dictionary and gives it back. They also see what is logged through the
standard library, so a library that logs a header or a form is covered too.
"""

import re
import time
from collections.abc import Iterable, Mapping, MutableMapping
from functools import lru_cache
from typing import Any
from uuid import UUID

import structlog

Event = MutableMapping[str, Any]

MASK = "***"

_SECRET = re.compile(
    r"(pin|password|passwd|token|secret|authorization|cookie|otp|totp|apikey|credential|privatekey)s?$", re.IGNORECASE
)
"""Names end so: pin, new_pin, paymentPin, session_token, X-Session-Token, csrftoken, Set-Cookie, secret_key is below."""
_SECRET_ANYWHERE = re.compile(r"(password|secret|authorization|cookie|sessiontoken)", re.IGNORECASE)
_ENDS_IN_PIN_BY_CHANCE = frozenset({"spin", "shipping", "mapping"})

_ONE_TIME_CODE = re.compile(r"[0-9]{4,10}", re.ASCII)
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_QUERY_SECRET = re.compile(r"(?i)([?&;](?:[a-z_]*(?:token|password|pin|secret|key)|code)=)[^&;\s\"']+")

DEEPEST = 6
"""Nested values are looked through so far; what lies deeper is not shown."""


def stamp_time_of_day(_logger: object, _method: str, event: Event) -> Event:
    """Adds this machine's time of day, for a sandbox: at a tenth of what the library's own stamp takes."""
    event["timestamp"] = time.strftime("%H:%M:%S")
    return event


def mask_secrets(_logger: object, _method: str, event: Event) -> Event:
    """Replaces the values of fields that are secrets by their name, at any depth, and secrets in query strings."""
    return {name: _without_secrets(name, value, DEEPEST) for name, value in event.items()}


def mask_people(_logger: object, _method: str, event: Event) -> Event:
    """Masks one-time codes, and phone numbers but for their ends. For production: a sandbox shows its codes in the log."""
    return {name: _without_people(name, value, DEEPEST) for name, value in event.items()}


MOST_ENTRIES = 10
"""Entries that one request's or task's lines name; a set of thousands is told by its run or its count."""


def note_entries(ids: Iterable[UUID]) -> None:
    """Lets the log lines of this request or task name the journal entries it has written. A refused one rolls them back.

    Outside of both nothing is noted: nobody would ever forget it, and later lines would name what they are not about.
    """
    context = structlog.contextvars.get_contextvars()
    if "request_id" not in context and "task_id" not in context:
        return
    known = context.get("entries", [])
    structlog.contextvars.bind_contextvars(entries=[*known, *map(str, ids)][-MOST_ENTRIES:])


def masked_phone(phone: str) -> str:
    """The number as a log may show it: +8613800138000 → +861****8000."""
    return f"{phone[:4]}****{phone[-4:]}" if len(phone) > 8 else MASK


@lru_cache(maxsize=1_000)  # lines have the same names again and again
def _is_secret(name: str) -> bool:
    plain = name.replace("_", "").replace("-", "").lower()
    if plain in _ENDS_IN_PIN_BY_CHANCE:
        return False
    return bool(_SECRET.search(plain) or _SECRET_ANYWHERE.search(plain))


def _without_secrets(name: str, value: Any, depth: int) -> Any:
    if _is_secret(name):
        return MASK if value not in (None, "", [], {}) else value
    if isinstance(value, str):
        return _QUERY_SECRET.sub(rf"\1{MASK}", value) if "=" in value else value
    return _each(value, depth, lambda key, part: _without_secrets(key, part, depth - 1))


def _without_people(name: str, value: Any, depth: int) -> Any:
    if name.lower().endswith("code") and _ONE_TIME_CODE.fullmatch(str(value)):
        return MASK
    if isinstance(value, str):
        return _PHONE.sub(lambda found: masked_phone(found.group()), value) if "+" in value else value
    return _each(value, depth, lambda key, part: _without_people(key, part, depth - 1))


def _each(value: Any, depth: int, clean: Any) -> Any:
    if not isinstance(value, Mapping | list | tuple):
        return value
    if depth <= 0:
        return MASK
    if isinstance(value, Mapping):
        return {key: clean(str(key), part) for key, part in value.items()}
    return [clean("", part) for part in value]
