"""A small schema for trying the base by itself: bounds, errors, pages and nodes, without a product."""

# mypy: disable-error-code="untyped-decorator"

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import strawberry
from django.db import OperationalError

from superapp import clock
from superapp.errors import ClockCannotTravel, NotFound, RateLimited, Unavailable
from superapp.graphql import relay
from superapp.graphql.context import Context, Info, signed_in
from superapp.graphql.operations import mutation
from superapp.graphql.relay import After, Before, Connection, Cursors, First, Last, Node, connection, node_id, page_of
from superapp.graphql.scalars import Money, MoneyInput
from superapp.graphql.schema import build_schema
from superapp.models import User

SECRET = "s3cr3t-of-the-test"
PEBBLES = 250
CURSORS = Cursors("pebbles", (int,))

mutable_calls: list[str] = []
"""What the mutations did, for tests that nothing was done."""


@strawberry.type(description="A pebble.")
class Pebble(Node):
    number: int

    @strawberry.field(description="Itself, to go deep.")
    def self(self) -> "Pebble":
        return self

    @strawberry.field(description="All of them, from any of them.")
    def pebbles(
        self, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> "Connection[Pebble]":
        return read_pebbles(first=first, after=after, last=last, before=before)


def pebble(number: int) -> Pebble:
    return Pebble(id=node_id("Pebble", UUID(int=number)), number=number)


def read_pebbles(
    *, first: int | None = None, after: str | None = None, last: int | None = None, before: str | None = None
) -> Connection[Pebble]:
    """Pebbles 0 to 249, read as a hand-written reader would."""
    page = page_of(CURSORS, first=first, after=after, last=last, before=before)
    low = page.after[0] + 1 if page.after else 0
    high = page.before[0] if page.before else PEBBLES
    numbers = list(range(low, high))
    if page.reverse:
        numbers.reverse()
    return connection(page, numbers[: page.limit + 1], key=lambda number: (number,), node=pebble)


def load_pebbles(viewer: User | None, ids: Sequence[UUID]) -> Mapping[UUID, Pebble]:
    """Pebbles below 10 are everyone's, the others only a signed-in person's."""
    seen = 10 if viewer is None else PEBBLES
    return {key: pebble(key.int) for key in ids if key.int < seen}


@strawberry.type
class Query:
    @strawberry.field(description="A pebble.")
    def pebble(self, number: int = 0) -> Pebble:
        return pebble(number)

    @strawberry.field(description="Pebbles.")
    def pebbles(
        self, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Pebble]:
        return read_pebbles(first=first, after=after, last=last, before=before)

    @strawberry.field(description="By id.")
    def node(self, info: Info, id: strawberry.ID) -> Node | None:
        found: Node | None = relay.load_nodes(info.context.user, [id])[0]
        return found

    @strawberry.field(description="By ids.")
    def nodes(self, info: Info, ids: list[strawberry.ID]) -> list[Node | None]:
        return relay.load_nodes(info.context.user, ids)

    @strawberry.field(description="What was given.")
    def echo(self, money: MoneyInput) -> Money:
        return Money.of(money.amount, money.currency)

    @strawberry.field(description="Fails in the way that is named.")
    def fail(self, how: str) -> int | None:
        match how:
            case "bug":
                raise ValueError(SECRET)
            case "database":
                raise OperationalError(SECRET)
            case "unavailable":
                raise Unavailable(SECRET)
            case "rate":
                raise RateLimited(retry_at=clock.now())
            case "refusal":
                raise NotFound(what=SECRET)
        return None

    @strawberry.field(description="Who asks.")
    def me(self, info: Info) -> str:
        return str(signed_in(info).pk)


@strawberry.input
class HeaveInput:
    weight: MoneyInput
    pin: str
    times: int = 1


@strawberry.type(description="Heaved.")
class HeaveSuccess:
    weight: Money


@strawberry.type(description="Painted.")
class PaintSuccess:
    colour: str


def heave(*, pin: str) -> None:
    """Heaves. Raises NotFound, InvalidAmount and nothing else."""
    if pin == "absent":
        raise NotFound(what="pebble").at("pin")
    if pin == "heavy":
        raise ClockCannotTravel(reason=SECRET)
    mutable_calls.append(pin)


@strawberry.type
class Mutation:
    @mutation(raises=[NotFound], moves_money=True, calls=[heave])
    def heave(self, input: HeaveInput) -> HeaveSuccess:
        """Heaves a pebble."""
        heave(pin=input.pin)
        return HeaveSuccess(weight=Money.of(input.weight.amount, input.weight.currency))

    @mutation()
    def paint(self, colour: str) -> PaintSuccess:
        """Paints a pebble."""
        mutable_calls.append(colour)
        return PaintSuccess(colour=colour)


schema = build_schema(query=Query, mutation=Mutation, types=(Pebble,))


@contextmanager
def pebbles_have_ids() -> Iterator[None]:
    """Registers the loader for the time of a test."""
    relay.node_type("Pebble")(load_pebbles)
    try:
        yield
    finally:
        del relay._loaders["Pebble"]


def run(document: str, *, user: User | None = None, **variables: Any) -> tuple[Any, list[Any]]:
    """Data and formatted errors of one operation, without HTTP."""
    result = schema.execute_sync(document, variable_values=variables, context_value=Context(user=user))
    return result.data, [error.formatted for error in result.errors or []]


def code_of(errors: list[Any]) -> str:
    """The code of the only error."""
    (error,) = errors
    return str(error["extensions"]["code"])
