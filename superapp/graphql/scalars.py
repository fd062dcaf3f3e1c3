"""The scalars of the API, each with one spelling.

Form is refused here, at top level, before any business rule is asked: an amount that is no plain decimal string is
`INVALID_AMOUNT`, an instant without zone `BAD_REQUEST`. What a form cannot know (decimals of the currency, zero, range)
is the mutation's typed `InvalidAmount`.
"""

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NewType

import strawberry
from django.conf import settings
from graphql import StringValueNode, ValueNode
from strawberry.types.scalar import ScalarDefinition

from superapp import money as amounts
from superapp.graphql.errors import ApiError

Amount = NewType("Amount", Decimal)
CurrencyCode = NewType("CurrencyCode", str)
Rate = NewType("Rate", Decimal)

_AMOUNT = re.compile(r"(?:0|[1-9][0-9]{0,19})(?:\.[0-9]{1,10})?", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)


def _amount(value: object) -> Amount:
    if not isinstance(value, str) or not _AMOUNT.fullmatch(value):
        raise ApiError("INVALID_AMOUNT", 'An amount is a plain decimal string such as "12.50".')
    return Amount(Decimal(value))


def _rate(_value: object) -> Rate:
    raise ApiError("BAD_REQUEST", "A rate is never an input.")


def _currency(value: object) -> CurrencyCode:
    if not isinstance(value, str) or value not in settings.CURRENCIES:
        raise ApiError("BAD_REQUEST", "This currency is not used here; codes are ISO 4217 in capitals.")
    return CurrencyCode(value)


def _date(value: object) -> date:
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise ApiError("BAD_REQUEST", 'A date is written as "2026-01-31" (ISO 8601).')


def _instant(value: object) -> datetime:
    if isinstance(value, str) and _INSTANT.fullmatch(value):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass
    raise ApiError("BAD_REQUEST", 'An instant is written with its zone, as "2026-01-31T15:00:00+08:00" (ISO 8601).')


def _plain(value: Decimal) -> str:
    if not isinstance(value, Decimal) or not value.is_finite():
        raise TypeError("Only finite decimals leave through the API.")
    return format(value, "f")


def _zoned(value: datetime) -> str:
    if value.tzinfo is None:
        raise TypeError("Only instants with a zone leave through the API.")
    return value.isoformat()


def _string_scalar(
    name: str,
    description: str,
    *,
    parse: Callable[[object], Any],
    serialize: Callable[[Any], str],
    url: str | None = None,
) -> ScalarDefinition:
    """A scalar that is a string in JSON and in a document; any other literal is handed to `parse` as None."""

    def parse_literal(node: ValueNode, _variables: object = None) -> Any:
        return parse(node.value if isinstance(node, StringValueNode) else None)

    return strawberry.scalar(
        name=name,
        description=description,
        specified_by_url=url,
        serialize=serialize,
        parse_value=parse,
        parse_literal=parse_literal,
    )


SCALARS: dict[object, ScalarDefinition] = {
    Amount: _string_scalar(
        "Amount",
        'A decimal number as a string of ASCII digits, such as "1234.50": no exponent, no separators, no leading zeros. '
        "Output may carry a minus sign, input none. At most 20 digits before and 10 after the point; how many decimals "
        "are allowed depends on the currency. Anything else is refused with the top-level code INVALID_AMOUNT.",
        parse=_amount,
        serialize=_plain,
    ),
    Rate: _string_scalar(
        "Rate",
        'A decimal number that is no money, as a string such as "4.715"; its field says the unit. Output only.',
        parse=_rate,
        serialize=_plain,
    ),
    CurrencyCode: _string_scalar(
        "CurrencyCode",
        "An ISO 4217 currency code in capitals, such as CNY; only those this installation uses.",
        parse=_currency,
        serialize=str,
        url="https://www.iso.org/iso-4217-currency-codes.html",
    ),
    date: _string_scalar(
        "Date", "A calendar day, ISO 8601: 2026-01-31.", parse=_date, serialize=lambda value: value.isoformat()
    ),
    datetime: _string_scalar(
        "DateTime",
        "An instant, ISO 8601 with its zone: 2026-01-31T15:00:00+08:00.",
        parse=_instant,
        serialize=_zoned,
    ),
}
"""Handed to the schema's configuration; keys are the Python types that stand for the scalars in annotations."""


@strawberry.type(description="An amount of money in one currency.")
class Money:
    amount: Amount = strawberry.field(
        description="In the currency's units, with exactly its decimals: 12.50 CNY, 12 JPY."
    )
    currency: CurrencyCode = strawberry.field(description="The currency.")

    @classmethod
    def of(cls, amount: Decimal, currency: str) -> "Money":
        """`amount` with exactly the currency's decimals. Raises InvalidAmount when it has more."""
        exact = amounts.exact(amount, decimals=amounts.minor_unit_decimals(currency), largest=None)
        return cls(amount=Amount(exact), currency=CurrencyCode(currency))


@strawberry.input(description="An amount of money in one currency, as a request names it.")
class MoneyInput:
    amount: Amount = strawberry.field(description="Above zero, with no more decimals than the currency has.")
    currency: CurrencyCode = strawberry.field(description="The currency.")
