"""What an amount, a currency, a day and an instant may look like; everything else is refused by form, unquoted."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from graphql import StringValueNode, parse_value

from superapp.errors import InvalidAmount
from superapp.graphql.errors import ApiError
from superapp.graphql.scalars import SCALARS, Amount, Money, Rate
from tests.api.small_schema import code_of, run

ECHO = "query Q($money: MoneyInput!) { echo(money: $money) { amount currency } }"

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("written", "answered"),
    [("12.5", "12.50"), ("0.01", "0.01"), ("12", "12.00"), ("0", "0.00"), ("999999999999999.99", "999999999999999.99")],
)
def test_a_plain_decimal_string_is_an_amount(written: str, answered: str) -> None:
    data, errors = run(ECHO, money={"amount": written, "currency": "CNY"})
    assert not errors
    assert data["echo"] == {"amount": answered, "currency": "CNY"}


@pytest.mark.parametrize(("currency", "answered"), [("JPY", "7"), ("CNY", "7.00"), ("KWD", "7.000")])
def test_an_amount_leaves_with_exactly_the_decimals_of_its_currency(currency: str, answered: str) -> None:
    data, _ = run(ECHO, money={"amount": "7", "currency": currency})
    assert data["echo"]["amount"] == answered


NO_AMOUNTS = [
    "",
    " ",
    " 1",
    "1 ",
    "1\n",
    "+1",
    "-1",
    "-0",
    "1e3",
    "1E3",
    "1_000",
    "1,000",
    "1.",
    ".5",
    "007",
    "00",
    "0x10",
    "NaN",
    "nan",
    "Infinity",
    "-Infinity",
    "inf",
    "sNaN",
    "1.2.3",
    "１２",
    "١٢",
    "১২",
    "1٫5",
    "½",
    "−1",
    "9" * 21,
    "9" * 5000,
    "0." + "1" * 11,
    "true",
    1,
    1.5,
    0,
    -1,
    1e400,
    True,
    None,
    [],
    ["1"],
    {},
    {"amount": "1"},
]


@pytest.mark.parametrize("value", NO_AMOUNTS, ids=lambda value: repr(value)[:20])
def test_anything_else_is_no_amount_in_a_variable(value: object) -> None:
    data, errors = run(ECHO, money={"amount": value, "currency": "CNY"})
    assert data is None
    expected = "BAD_REQUEST" if value is None else "INVALID_AMOUNT"
    assert code_of(errors) == expected
    assert len(str(value)) < 3 or str(value) not in errors[0]["message"].replace('"12.50"', "")


@pytest.mark.parametrize(
    "literal", ["1", "1.5", "-1", "true", "CNY", '"1e3"', '"-1"', '["1"]', '{a: "1"}', '"""NaN"""']
)
def test_a_literal_that_is_no_plain_decimal_string_is_no_amount(literal: str) -> None:
    data, errors = run(f'{{ echo(money: {{amount: {literal}, currency: "CNY"}}) {{ amount }} }}')
    assert data is None
    assert code_of(errors) == "INVALID_AMOUNT"
    assert errors[0]["locations"]


@pytest.mark.parametrize("value", ["cny", "Cny", "XXX", "CN", "CNY ", "ＣＮＹ", "СNY", "", 1, True, []])
def test_a_currency_is_one_that_is_used_here_in_capitals(value: object) -> None:
    data, errors = run(ECHO, money={"amount": "1", "currency": value})
    assert data is None
    assert code_of(errors) == "BAD_REQUEST"


def test_an_unknown_input_field_is_refused() -> None:
    _, errors = run(ECHO, money={"amount": "1", "currency": "CNY", "amount2": "99887766"})
    assert code_of(errors) == "BAD_REQUEST"
    assert "99887766" not in str(errors)


@pytest.mark.parametrize("kind", [date, datetime])
@pytest.mark.parametrize(
    "value",
    [
        "",
        "2026",
        "2026-13-01",
        "2026-02-30",
        "20260101",
        "2026-W01-1",
        "2026-01-01T10:00:00",
        "２０２６-01-01",
        1,
        None,
        "now",
    ],
)
def test_a_day_and_an_instant_have_one_spelling(kind: type, value: object) -> None:
    with pytest.raises(ApiError) as refusal:
        SCALARS[kind].parse_value(value)  # type: ignore[misc]
    assert refusal.value.code == "BAD_REQUEST"


def test_an_instant_needs_its_zone_both_ways() -> None:
    instant = SCALARS[datetime]
    assert instant.parse_value("2026-01-31T15:00:00+08:00") == datetime(2026, 1, 31, 7, tzinfo=UTC)  # type: ignore[misc]
    assert instant.parse_value("2026-01-31T07:00:00.000001Z") == datetime(2026, 1, 31, 7, 0, 0, 1, tzinfo=UTC)  # type: ignore[misc]
    with pytest.raises(TypeError):
        instant.serialize(datetime(2026, 1, 31))  # type: ignore[misc]  # noqa: DTZ001


def test_a_day_comes_as_a_string_literal_only() -> None:
    parse = SCALARS[date].parse_literal
    assert parse is not None
    assert parse(StringValueNode(value="2026-01-31"), None) == date(2026, 1, 31)
    with pytest.raises(ApiError):
        parse(parse_value("20260131"), None)


@pytest.mark.parametrize("scalar", [Amount, Rate])
@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("Infinity"), 1.5, 1])
def test_only_finite_decimals_leave(scalar: object, value: object) -> None:
    with pytest.raises(TypeError):
        SCALARS[scalar].serialize(value)  # type: ignore[misc]


def test_a_decimal_leaves_without_exponent() -> None:
    assert SCALARS[Amount].serialize(Decimal("1E+3")) == "1000"  # type: ignore[misc]
    assert SCALARS[Amount].serialize(Decimal("-0.00000001")) == "-0.00000001"  # type: ignore[misc]


def test_money_is_never_rounded_on_its_way_out() -> None:
    with pytest.raises(InvalidAmount):
        Money.of(Decimal("1.005"), "CNY")
