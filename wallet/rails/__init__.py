"""Rails: how money enters and leaves. A rail carries instructions to a bank; the bank's word comes back as messages.

`rail(name)` finds one by name; `default_rail()` is the one new top-ups use. Only a sandbox knows the sandbox rail.
"""

from collections.abc import Callable

from django.conf import settings

from superapp.errors import Unavailable
from wallet.rails.base import Instruction, Rail, RailAnswer, RailRefused

__all__ = ["Instruction", "Rail", "RailAnswer", "RailRefused", "default_rail", "offers", "rail"]

_makers: dict[str, Callable[[], Rail]] = {}


def offers(name: str, make: Callable[[], Rail]) -> None:
    """Registers a rail under a name that top-ups keep."""
    _makers[name] = make


def rail(name: str) -> Rail:
    """The rail of that name. Raises LookupError when this installation has none."""
    maker = _makers.get(name)
    if maker is None:
        raise LookupError(f"This installation has no bank connection named {name!r}; add its app or see TOP_UP_RAIL.")
    return maker()


def default_rail() -> str:
    """The name of the rail that new top-ups take: settings.TOP_UP_RAIL. Raises Unavailable when there is none."""
    name: str = settings.TOP_UP_RAIL
    if name not in _makers:
        raise Unavailable(f"no bank connection is registered under {name!r}; see TOP_UP_RAIL")
    return name
