"""What is read once per unit of work: the clock's distance, the policies, the calendars' exceptions.

A unit of work is a request, a task, or one step of a command. Whoever begins one calls `begin()` (through
`clock.forget()`); within it the same question gets the same answer, and a change made elsewhere is seen by the next
one. Each thread and each asyncio task has its own.
"""

from collections.abc import Callable, Hashable
from contextvars import ContextVar
from typing import Any, TypeVar, cast

T = TypeVar("T")

_remembered: ContextVar[dict[Hashable, Any] | None] = ContextVar("unit_of_work", default=None)


def begin() -> None:
    """Forgets what the last unit of work has read."""
    _remembered.set(None)


def remember(name: Hashable, read: Callable[[], T]) -> T:
    """The value of `read()`, called at most once per unit of work for each name."""
    known = _remembered.get()
    if known is None:
        known = {}
        _remembered.set(known)
    if name not in known:
        known[name] = read()
    return cast(T, known[name])


def know(name: Hashable, value: object) -> None:
    """Puts in what was read together with something else, so that nobody need ask for it."""
    known = _remembered.get()
    if known is None:
        known = {}
        _remembered.set(known)
    known[name] = value


def known(name: Hashable) -> Any:
    """What this unit of work knows under that name, or None."""
    remembered = _remembered.get()
    return None if remembered is None else remembered.get(name)


def forget(name: Hashable) -> None:
    """Forgets one value, after this unit of work has changed it."""
    known = _remembered.get()
    if known is not None:
        known.pop(name, None)
