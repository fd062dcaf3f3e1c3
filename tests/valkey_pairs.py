"""Pairs of the embedded Valkey's databases (broker, cache), each for one user at a time.

Sessions of tests run side by side, and within one there may be real sites: nobody may hear another's messages.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import redis

from config import engines
from tests.waiting import wait_until

SITE_PAIRS = ((10, 11), (12, 13), (14, 15), (2, 3), (4, 5), (6, 7))
"""For real sites of tests (`tests.site`)."""

SESSION_PAIRS = ((8, 9), *((number, number + 1) for number in range(16, 30, 2)))
"""For sessions of tests; none is what a running site of this checkout looks at (0, 1)."""

CLAIMS = 31
"""The database that says which process has which pair."""

Pair = tuple[int, int]


@contextmanager
def claimed_pair(pairs: Sequence[Pair]) -> Iterator[Pair]:
    """One of the pairs, empty, for this process until the end; a pair whose process has died is free again."""
    local = engines.home()
    with redis.from_url(local.redis_url(CLAIMS)) as claims:

        def claimed() -> Pair | None:
            for pair in pairs:
                name = f"pair:{pair[0]}"
                holder = claims.get(name)
                if holder is not None and not _lives(int(holder)):
                    _give_back(claims, name, int(holder))
                if claims.set(name, os.getpid(), nx=True):
                    return pair
            return None

        pair = wait_until(claimed, deadline_seconds=900, what="a free pair of Valkey's databases")
        _empty(pair)
        try:
            yield pair
        finally:
            _empty(pair)
            _give_back(claims, f"pair:{pair[0]}", os.getpid())


GIVE_BACK = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end"
"""Only what this holder has claimed: another may have taken it over in between."""


def _give_back(claims: "redis.Redis", name: str, holder: int) -> None:
    claims.eval(GIVE_BACK, 1, name, str(holder))


def _empty(pair: Pair) -> None:
    for number in pair:
        with redis.from_url(engines.home().redis_url(number)) as valkey:
            valkey.flushdb()


def _lives(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
