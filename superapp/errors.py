"""Refusals: what the business says no to, each with a stable code, a sentence for people and the facts a screen needs.

Every app adds its own subclasses beside its rules. A refusal can be stored with an idempotency key and told again
later: `rebuild(code, facts)` gives an error equal to the first one. A *fault* (`Unavailable`) is not a refusal: nothing
was decided, nothing is stored, the request may be sent again as it is.
"""

import dataclasses
import types
import typing
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar, Self

Fact = str | int | bool | None
"""What a fact looks like where it is stored: decimals, instants, days and ids as strings."""

_registry: dict[str, type["DomainError"]] = {}


class DomainError(Exception):
    """The base of all refusals.

    A subclass is a dataclass (`@dataclass(eq=False)`): its fields are the facts, of type str, int, bool, Decimal,
    datetime, date or UUID, each also with None. It sets `code` (UPPER_SNAKE, never changed once published) and
    `message`, one sentence that names cause and cure and may quote facts in braces: on an instance `message` is the
    sentence filled in. `path` names the input field at fault, for the API.
    """

    code: ClassVar[str]
    stored_with_key: ClassVar[bool] = True
    """Whether the refusal becomes the idempotency key's answer. False: malformed input, rate limits, a wrong PIN."""
    path: list[str] | None = None
    _sentence: ClassVar[str] = "This was refused."

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        sentence = cls.__dict__.get("message")
        if isinstance(sentence, str):
            cls._sentence = sentence
            del cls.message  # the property below fills the sentence in
        code = cls.__dict__.get("code")
        if code is None:
            return
        known = _registry.get(code)
        if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise TypeError(f"The code {code} is taken by {known.__module__}.{known.__qualname__}.")
        _registry[code] = cls

    @property
    def message(self) -> str:
        """One sentence for people: what was refused and what to do about it."""
        return self._sentence.format_map({name: _shown(value) for name, value in self._values().items()})

    def at(self, *path: str) -> Self:
        """The same error, pointing at an input field."""
        self.path = list(path)
        return self

    def facts(self) -> dict[str, Fact]:
        """The fields as JSON can hold them exactly; `from_facts` reads them back."""
        return {name: _stored(value) for name, value in self._values().items()}

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        """The error these facts were taken from. Facts that the class no longer knows are left aside."""
        hints = typing.get_type_hints(cls)
        known = {field.name for field in cls._fields()}
        return cls(**{name: _read(hints[name], value) for name, value in facts.items() if name in known})

    @classmethod
    def _fields(cls) -> tuple["dataclasses.Field[Any]", ...]:
        return dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ()

    def _values(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in self._fields()}

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._values().items())})"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values() and self.path == other.path

    def __hash__(self) -> int:
        return hash((self.code, tuple(sorted(self.facts().items(), key=lambda item: item[0]))))

    def __reduce__(self) -> tuple[Any, ...]:
        return rebuild, (self.code, self.facts(), self.path)


def rebuild(code: str, facts: Mapping[str, Any], path: list[str] | None = None) -> DomainError:
    """The refusal that was stored under `code`. Raises LookupError when no installed app knows the code."""
    error_class = _registry.get(code)
    if error_class is None:
        raise LookupError(f"No refusal has the code {code}; was the app that raised it removed?")
    error = error_class.from_facts(facts)
    error.path = path
    return error


def all_errors() -> tuple[type[DomainError], ...]:
    """Every refusal that is declared so far, by code."""
    return tuple(_registry[code] for code in sorted(_registry))


def _stored(value: object) -> Fact:
    match value:
        case None | bool() | int() | str():
            return value
        case Decimal():
            return format(value, "f")
        case datetime() | date():
            return value.isoformat()
        case uuid.UUID():
            return str(value)
    raise TypeError(f"A refusal's fact cannot be {type(value).__name__}.")


def _read(hint: object, value: Any) -> Any:
    if value is None or not isinstance(value, str):
        return value
    options = typing.get_args(hint) if typing.get_origin(hint) in {typing.Union, types.UnionType} else (hint,)
    for option in options:
        if option is Decimal:
            return Decimal(value)
        if option is datetime:
            return datetime.fromisoformat(value)
        if option is date:
            return date.fromisoformat(value)
        if option is uuid.UUID:
            return uuid.UUID(value)
    return value


def _shown(value: object) -> object:
    return format(value, "f") if isinstance(value, Decimal) else value


@dataclass(eq=False)
class InvalidAmount(DomainError):
    """An amount that is no amount of that currency: zero, negative, too large, too many decimals, not a number.

    Raised for input only; never rounded away. `reason` says which.
    """

    code = "INVALID_AMOUNT"
    stored_with_key = False
    message = "This is not an amount that can be used: {reason}."
    reason: str


@dataclass(eq=False)
class NotFound(DomainError):
    """What was named does not exist, or is not the viewer's: the two are answered alike."""

    code = "NOT_FOUND"
    message = "There is no such {what}, or it is not yours."
    what: str


@dataclass(eq=False)
class InvalidIdempotencyKey(DomainError):
    """A key that is empty, longer than 200 characters, or not printable ASCII. Not stored."""

    code = "INVALID_IDEMPOTENCY_KEY"
    stored_with_key = False
    message = "An idempotency key has 1 to 200 printable ASCII characters; a fresh UUID serves well."


@dataclass(eq=False)
class IdempotencyKeyReused(DomainError):
    """The key was used before, by this person and operation, for a different request. Nothing was done."""

    code = "IDEMPOTENCY_KEY_REUSED"
    stored_with_key = False
    message = "This key was used for a different request; send a new request under a new key."


@dataclass(eq=False)
class RateLimited(DomainError):
    """Too many calls of one kind in a while. Not stored under the key; send the same again after `retry_at`."""

    code = "RATE_LIMITED"
    stored_with_key = False
    message = "Too many attempts; try again after {retry_at}."
    retry_at: datetime


@dataclass(eq=False)
class PolicyRefused(DomainError):
    """A value that a policy's type does not allow, or a version that would change the past. For operators."""

    code = "POLICY_REFUSED"
    message = "The policy {policy} cannot be set so: {reason}."
    policy: str
    reason: str


@dataclass(eq=False)
class ClockCannotTravel(DomainError):
    """The business clock was asked to move where it may not: backwards, or in production at all."""

    code = "CLOCK_CANNOT_TRAVEL"
    message = "The clock cannot be moved: {reason}."
    reason: str


class Unavailable(Exception):
    """A fault, not a refusal: the system could not decide in time, and nothing was done.

    The transaction was rolled back and an idempotency key, if any, is free: the same request with the same key may be
    sent again after `retry_after_seconds`. The API answers it at top level with `extensions.code` = UNAVAILABLE.
    """

    code: ClassVar[str] = "UNAVAILABLE"

    def __init__(self, cause: str = "", *, retry_after_seconds: int = 1) -> None:
        super().__init__(cause)
        self.cause = cause
        """For the log; never for a client."""
        self.retry_after_seconds = retry_after_seconds

    @property
    def message(self) -> str:
        """One sentence for people."""
        return f"This cannot be done right now; send the same request again in {self.retry_after_seconds} s."
