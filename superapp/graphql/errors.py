"""From a refusal of the business to what a client reads.

Two kinds of errors leave the API:

- **Typed results.** A `DomainError` raised in a mutation becomes the member of the mutation's union that was registered
  for it with `@user_error(TheDomainError)`. One handler does this for all (`exception_handlers`).
- **Top-level errors** for requests that make no sense and for a system that is down: `ApiError(code, message)`, or what
  `superapp.graphql.masking` makes of anything else.

    @user_error(errors.InsufficientFunds)
    class InsufficientFunds(UserError):
        available: Money = strawberry.field(description="What can be spent now.")

        @classmethod
        def facts(cls, error: errors.InsufficientFunds) -> dict[str, object]:
            return {"available": Money.of(error.available, error.currency)}

Without `facts` each field takes the domain error's attribute of the same name.
"""

import dataclasses
import inspect
from collections.abc import Callable
from datetime import datetime
from enum import Enum
from importlib import import_module
from importlib.util import find_spec
from typing import Any, ClassVar, TypeVar

import strawberry
import structlog
from django.utils.module_loading import autodiscover_modules
from graphql import GraphQLError

from superapp import errors as domain
from superapp.counters import refused
from superapp.errors import DomainError, all_errors

log = structlog.get_logger("superapp.graphql")


class ApiError(GraphQLError):
    """A top-level error whose code and message are meant for the client. The message never quotes input."""

    def __init__(self, code: str, message: str, **extensions: object) -> None:
        super().__init__(message, extensions={"code": code, **extensions})
        self.code = code


def _error_codes() -> Any:
    """The enum of every installed app's refusals; apps declare theirs in `<app>/errors.py`."""
    autodiscover_modules("errors")
    known = all_errors()
    make: Any = Enum  # mypy knows only enums whose members are written down
    codes = make("ErrorCode", {error.code: error.code for error in known})
    strawberry.enum(codes, description="Why something was refused. Codes are never renamed; new ones may come.")
    summaries = {error.code: _summary(error) for error in known}
    for value in codes.__strawberry_definition__.values:
        value.description = summaries[value.name]
    return codes


def _summary(error: type[DomainError]) -> str:
    return inspect.cleandoc(error.__doc__ or "").split("\n\n")[0].replace("\n", " ")


ErrorCode: Any = _error_codes()


@strawberry.interface(description="A refusal a screen can explain: the base of all typed errors of mutations.")
class UserError:
    code: ErrorCode = strawberry.field(description="Which rule refused; stable, for programs.")
    message: str = strawberry.field(
        description="One sentence for people, in English: the cause and what to do about it."
    )
    path: list[str] | None = strawberry.field(
        description="The input field at fault, from the input's root; null when no single field is."
    )

    domain_error: ClassVar[type[DomainError]]

    @classmethod
    def facts(cls, error: Any) -> dict[str, object]:
        """The values of the type's own fields, taken from the domain error; by default attributes of the same name."""
        own = [field.name for field in dataclasses.fields(cls) if field.name not in {"code", "message", "path"}]
        return {name: getattr(error, name) for name in own}

    @classmethod
    def from_domain(cls, error: DomainError) -> "UserError":
        """The typed result that tells of `error`."""
        return cls(code=ErrorCode(error.code), message=error.message, path=error.path, **cls.facts(error))


E_ = TypeVar("E_", bound=type[UserError])
_types: dict[type[DomainError], type[UserError]] = {}


def user_error(domain_error: type[DomainError]) -> Callable[[E_], E_]:
    """Class decorator: makes the class the GraphQL type that tells of `domain_error`, described by its docstring.

    Raises TypeError when the domain error has a type already.
    """

    def register(cls: E_) -> E_:
        if domain_error in _types:
            raise TypeError(f"{domain_error.__name__} has the GraphQL type {_types[domain_error].__name__} already.")
        own = cls.__dict__.get("__doc__")
        description = inspect.cleandoc(own) if own else _summary(domain_error)
        cls.domain_error = domain_error
        made = strawberry.type(cls, description=description)
        _types[domain_error] = made
        return made

    return register


def type_for(domain_error: type[DomainError]) -> type[UserError]:
    """The GraphQL type of a domain error, from `graphql/errors.py` of the app whose `errors.py` declares it.

    One without facts of its own gets a plain type of its name. Raises TypeError for one with facts but no type.
    """
    if domain_error not in _types:
        app, _, _ = domain_error.__module__.rpartition(".")
        if app and find_spec(f"{app}.graphql.errors"):
            import_module(f"{app}.graphql.errors")
    found = _types.get(domain_error)
    if found is None:
        if any(not field.startswith("_") for field in getattr(domain_error, "__dataclass_fields__", {})):
            raise TypeError(f"{domain_error.__name__} carries facts: give it a type with @user_error.")
        found = user_error(domain_error)(type(domain_error.__name__, (UserError,), {"__doc__": _summary(domain_error)}))
    return found


class DomainErrorHandler:
    """Turns a raised domain error into the union member registered for it. One instance per registered type."""

    def __init__(self, exception_type: type[DomainError], error_type: type[UserError]) -> None:
        self.exception_type = exception_type
        self.error_type = error_type

    def handle(self, exc: DomainError, **_: object) -> UserError:
        """The typed result."""
        refused(exc.code)
        log.info("refused", code=exc.code)
        return self.error_type.from_domain(exc)


def exception_handlers() -> list[Any]:
    """One handler per registered error, the most specific first, because the first that fits wins."""
    ordered = sorted(_types.items(), key=lambda pair: -len(pair[0].__mro__))
    return [DomainErrorHandler(error, error_type) for error, error_type in ordered]


@user_error(domain.InvalidAmount)
class InvalidAmount(UserError):
    """The amount is zero, out of range, or has more decimals than its currency; it is never rounded."""

    reason: str = strawberry.field(description="Which of these, in English.")


@user_error(domain.NotFound)
class NotFound(UserError):
    """What the input names does not exist or is not the viewer's: the two are answered alike."""

    what: str = strawberry.field(description='What was looked for, such as "fund" or "transfer".')


@user_error(domain.RateLimited)
class RateLimited(UserError):
    """Too many attempts in a while; nothing was done."""

    retry_at: datetime = strawberry.field(description="When the same request may be sent again.")
