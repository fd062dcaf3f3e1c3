"""What every resolver knows: who asks, from where, and under which request id."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import strawberry

from superapp.graphql.errors import ApiError
from superapp.models import User


@dataclass(kw_only=True)
class Context:
    """One request. `user` is None for someone who has not signed in."""

    user: User | None = None
    request_id: str = ""
    find_address: Callable[[], str] = str
    """Reads `address` from the request; few resolvers ask."""
    operation: str = "none"
    """The root field that runs, for counting; `none` while nothing may run."""
    memo: dict[Any, Any] = field(default_factory=dict)
    """What resolvers of the same request share, so that a row is read once."""

    @property
    def address(self) -> str:
        """The client's network address, for rate limits only; never stored beside a person."""
        return self.find_address()


Info = strawberry.types.Info[Context, None]


def signed_in(info: Info) -> User:
    """The person who asks. Raises the top-level error UNAUTHENTICATED when nobody has signed in."""
    user = info.context.user
    if user is None:
        raise ApiError("UNAUTHENTICATED", "Sign in first.")
    return user
