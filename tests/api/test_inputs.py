"""Input objects are read as Strawberry reads them, only sooner."""

from decimal import Decimal
from typing import Any

import pytest
from strawberry.types.arguments import convert_argument

from config.schema import schema
from payments.graphql.mutations import SendMoneyInput

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
