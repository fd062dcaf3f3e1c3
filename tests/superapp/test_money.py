"""Exact amounts: what is refused, what is cut, how it is shown."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superapp.errors import InvalidAmount
from superapp.money import MAX_AMOUNT, cut, exact, minor_unit_decimals, money, plain, positive

amounts = st.decimals(min_value=-MAX_AMOUNT, max_value=MAX_AMOUNT, allow_nan=False, allow_infinity=False, places=8)
decimals_of_currencies = st.sampled_from([0, 2, 3, 4])


@pytest.mark.parametrize(
    "amount",
    [
        1.5,
        1.0,
        True,
        None,
        b"1",
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("Infinity"),
        Decimal("-Infinity"),
        "NaN",
        "Infinity",
        "1e3",
        "1_0",
        "1,000.00",
        " 1",
        "1\n",
        "",
        "+1",
        "١",
        "１.00",
        "1.",
        ".5",
        "0x1",
        "9" * 5_000,
        Decimal("1E+999999"),
        MAX_AMOUNT + 1,
        -MAX_AMOUNT - 1,
        "1.005",
        Decimal("0.001"),
    ],
)
def test_what_is_no_exact_amount_is_refused(amount: Any) -> None:
    with pytest.raises(InvalidAmount):
        money(amount, "CNY")


@pytest.mark.parametrize("currency", ["cny", "XXX", "CNY ", "СNY", "", "BTC", "GBP"])
def test_a_currency_that_is_not_carried_is_refused(currency: str) -> None:
    with pytest.raises(InvalidAmount):
        money("1", currency)


@pytest.mark.parametrize(("currency", "decimals"), [("JPY", 0), ("CNY", 2), ("USD", 2), ("KWD", 3)])
def test_a_currency_has_its_own_decimals(currency: str, decimals: int) -> None:
    assert minor_unit_decimals(currency) == decimals
    smallest = Decimal(1).scaleb(-decimals)
    assert money(smallest, currency).amount == smallest
    with pytest.raises(InvalidAmount):
        money(smallest / 10, currency)


def test_whole_and_trailing_zero_amounts_are_one_amount_in_one_form() -> None:
    assert {str(money(form, "CNY").amount) for form in (5, "5", "5.0", "5.00", Decimal("5.0000"))} == {"5.00"}


def test_zero_has_no_sign() -> None:
    assert plain(Decimal("-0.00"), 2) == "0.00"
    assert str(cut(Decimal("-0.009"), decimals=2)) == "0.00"


@pytest.mark.parametrize("amount", [0, "-0.01", Decimal(-1)])
def test_a_positive_amount_is_more_than_zero(amount: Any) -> None:
    assert positive("0.01", "CNY").amount == Decimal("0.01")
    with pytest.raises(InvalidAmount):
        positive(amount, "CNY")


def test_cutting_goes_toward_zero_on_both_sides() -> None:
    assert cut(Decimal("1.469"), decimals=2) == Decimal("1.46")
    assert cut(Decimal("-1.469"), decimals=2) == Decimal("-1.46")


@given(amount=amounts, decimals=decimals_of_currencies)
def test_cutting_takes_less_than_one_unit_and_never_crosses_zero(amount: Decimal, decimals: int) -> None:
    kept = cut(amount, decimals=decimals)
    assert abs(amount - kept) < Decimal(1).scaleb(-decimals)
    assert abs(kept) <= abs(amount)
    assert kept * amount >= 0
    assert exact(kept, decimals=decimals) == kept


@given(amount=amounts, decimals=decimals_of_currencies)
def test_an_amount_is_exact_only_if_cutting_takes_nothing(amount: Decimal, decimals: int) -> None:
    if cut(amount, decimals=decimals) == amount:
        assert exact(amount, decimals=decimals) == amount
    else:
        with pytest.raises(InvalidAmount):
            exact(amount, decimals=decimals)


@given(minor_units=st.integers(min_value=-(10**17), max_value=10**17))
def test_what_is_shown_reads_back_as_the_same_amount(minor_units: int) -> None:
    amount = Decimal(minor_units).scaleb(-2)
    shown = plain(amount, 2)
    assert "E" not in shown
    assert money(shown, "CNY").amount == amount


@given(amount=st.floats())
def test_no_float_ever_becomes_money(amount: float) -> None:
    with pytest.raises(InvalidAmount):
        money(amount, "CNY")  # type: ignore[arg-type]


def test_a_float_is_neither_cut_nor_made_exact() -> None:
    with pytest.raises(InvalidAmount):
        cut(1.5, decimals=2)  # type: ignore[arg-type]
    with pytest.raises(InvalidAmount):
        exact(1.5, decimals=2)  # type: ignore[arg-type]
