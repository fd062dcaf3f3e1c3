"""Input objects are read as Strawberry reads them, only sooner."""

from decimal import Decimal
from typing import Any

import pytest
import strawberry
from strawberry.relay import GlobalID
from strawberry.types.arguments import convert_argument

from config.schema import schema
from payments.graphql.mutations import SendMoneyInput
from superapp.graphql.inputs import read_quickly

MONEY = {"amount": Decimal("1.25"), "currency": "CNY"}
GIVEN: list[dict[str, Any]] = [
    {"to": {"id": "abc"}, "amount": MONEY, "idempotencyKey": "k"},
    {"to": {"phone": "+8613800138000"}, "amount": MONEY, "idempotencyKey": "k", "note": "noodles", "pin": None},
    {"to": {"handle": "wu"}, "amount": MONEY, "idempotencyKey": "k", "pin": "135246", "dryRun": True},
]


def converted(given: dict[str, Any]) -> Any:
    return convert_argument(given, SendMoneyInput, schema.schema_converter.scalar_registry, schema.config)


@pytest.mark.parametrize("given", GIVEN, ids=["what must be", "a note and no PIN", "all of it"])
def test_an_input_is_what_strawberry_makes_of_it(given: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    quickly = converted(given)
    for known in (SendMoneyInput, *(type(part) for part in (quickly.to, quickly.amount))):
        definition: Any = known.__strawberry_definition__  # type: ignore[attr-defined]
        assert definition.from_input is not None
        monkeypatch.setattr(definition, "from_input", None)
    assert quickly == converted(given)
    assert (quickly.pin, quickly.dry_run) == (given.get("pin"), given.get("dryRun", False))


@strawberry.input
class Wanted:
    """Ids of nodes in every place where an input can have them."""

    one: GlobalID
    perhaps: GlobalID | None = None
    many: list[GlobalID] = strawberry.field(default_factory=list)
    some: list[GlobalID | None] | None = None


@strawberry.type
class Asked:
    @strawberry.field
    def wanted(self, given: Wanted) -> str:
        """Whatever takes the input."""
        return repr(given)


def test_an_id_of_a_node_is_decoded_as_strawberry_decodes_it() -> None:
    own = strawberry.Schema(query=Asked)
    ann, ben = GlobalID("Person", "1"), GlobalID("Person", "2")
    full = {"one": str(ann), "perhaps": str(ben), "many": [str(ann), str(ben)], "some": [None, str(ann)]}
    least = {"one": str(ann), "perhaps": None}

    def both() -> list[Any]:
        registry = own.schema_converter.scalar_registry
        return [convert_argument(given, Wanted, registry, own.config) for given in (full, least)]

    by_strawberry = both()
    read_quickly(own)
    assert Wanted.__strawberry_definition__.from_input is not None  # type: ignore[attr-defined]
    assert both() == by_strawberry
    assert by_strawberry == [Wanted(one=ann, perhaps=ben, many=[ann, ben], some=[None, ann]), Wanted(one=ann)]
