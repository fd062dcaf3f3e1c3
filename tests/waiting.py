"""Waiting for a condition with a deadline: the tests' only way to let time pass.

A deadline is for what hangs. It costs nothing where what is waited for comes true, so it is long enough for a machine that does
much else beside.
"""

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_SECONDS = 120.0

T = TypeVar("T")


def wait_until(
    condition: Callable[[], T | None], deadline_seconds: float = PATIENCE_SECONDS, *, what: str = "the condition"
) -> T:
    """The first truthy value of `condition()`. Raises AssertionError when there is none by the deadline."""
    give_up_at = time.monotonic() + deadline_seconds
    while not (value := condition()):
        assert time.monotonic() < give_up_at, f"{what} did not come true within {deadline_seconds} s"
        time.sleep(0.02)
    return value
