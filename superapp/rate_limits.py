"""Limits on how often something may be tried, counted in the cache, by fixed windows of the machine's time.

A limit protects people (from being looked up) and the site (from being guessed at); it decides nothing about money. The
cache may forget a count when it is restarted. While it is away its error goes to the caller: what cannot be counted is
not done.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from django.core.cache import cache
from django.utils import timezone

from superapp.errors import RateLimited


@dataclass(frozen=True)
class Limit:
    """At most `most` times in any window of `window_seconds`, for each subject of its own."""

    name: str
    most: int
    window_seconds: int


def count(limit: Limit, subject: str) -> None:
    """Counts one attempt of `subject` (a person's id, an address). Raises RateLimited when it is one too many."""
    now = int(timezone.now().timestamp())
    window = now // limit.window_seconds
    # A subject may be an address or a phone number: the cache gets to know neither.
    digest = hashlib.sha256(subject.encode()).hexdigest()[:32]
    key = f"rate:{limit.name}:{window}:{digest}"
    cache.add(key, 0, timeout=limit.window_seconds)
    try:
        tries = cache.incr(key)
    except ValueError:  # the entry was dropped in between
        cache.set(key, 1, timeout=limit.window_seconds)
        tries = 1
    if tries > limit.most:
        raise RateLimited(retry_at=datetime.fromtimestamp((window + 1) * limit.window_seconds, tz=UTC))
