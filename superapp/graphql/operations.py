"""How a mutation is declared, so that its union of results and the errors it can raise cannot disagree.

    @strawberry.type
    class Mutation:
        @mutation(raises=[errors.InsufficientFunds, *PIN_ERRORS], moves_money=True, calls=[transfers.send_money])
        def send_money(self, info: Info, input: SendMoneyInput) -> SendMoneySuccess:
            "Sends money to a person."
            ...

The field's type becomes `union SendMoneyResult = SendMoneySuccess | InsufficientFunds | ...`; a `DomainError` that is
raised and declared becomes its member, one that is not declared is a masked `INTERNAL` and a line in the log. The
docstring is the field's description.
"""

import inspect
import typing
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Union

import strawberry
from strawberry.types.field import StrawberryField

from superapp.errors import DomainError, IdempotencyKeyReused, InvalidAmount, InvalidIdempotencyKey
from superapp.graphql.errors import type_for

MONEY_ERRORS: tuple[type[DomainError], ...] = (InvalidAmount, InvalidIdempotencyKey, IdempotencyKeyReused)
"""What any mutation with an idempotency key and an amount can answer."""

ALONE = "superapp.alone"
"""Metadata of root fields that must stand alone in their document."""


@dataclass(frozen=True)
class Declared:
    """What a mutation said about itself: its result's name, its errors and the functions it calls."""

    field: str
    result: str
    raises: tuple[type[DomainError], ...]
    calls: tuple[Callable[..., Any], ...]


_declared: dict[str, Declared] = {}


def declared_mutations() -> tuple[Declared, ...]:
    """Every mutation declared so far; for tests that compare errors with the functions' documentation."""
    return tuple(_declared.values())


def mutation(
    *,
    raises: Iterable[type[DomainError]] = (),
    moves_money: bool = False,
    checks_pin: bool = False,
    calls: Sequence[Callable[..., Any]] = (),
) -> Callable[[Callable[..., Any]], StrawberryField]:
    """Declares a mutation whose resolver returns its success type and raises the errors in `raises`.

    `moves_money` adds `MONEY_ERRORS`; it and `checks_pin` demand that the field is the only one of its request.
    `calls` names the business functions behind it: a test checks that each error their docstrings name is in `raises`.
    """
    errors = tuple(dict.fromkeys([*raises, *(MONEY_ERRORS if moves_money else ())]))

    def declare(resolver: Callable[..., Any]) -> StrawberryField:
        name = "".join(part.capitalize() for part in resolver.__name__.split("_"))
        success = typing.get_type_hints(resolver, include_extras=True)["return"]
        members = (success, *(type_for(error) for error in errors))
        result: Any = Annotated[
            Union[members],  # noqa: UP007  (made at run time)
            strawberry.union(f"{name}Result", description=f"What became of `{_camel(resolver.__name__)}`."),
        ]
        _declared[resolver.__name__] = Declared(
            field=_camel(resolver.__name__), result=f"{name}Result", raises=errors, calls=tuple(calls)
        )
        field: StrawberryField = strawberry.mutation(
            resolver=resolver,
            graphql_type=result,
            description=inspect.cleandoc(resolver.__doc__ or ""),
            metadata={ALONE: moves_money or checks_pin},
        )
        return field

    return declare


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
