"""The fund's arithmetic, alone."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funds.arithmetic import (
    FRACTION_UNITS,
    cut,
    derived_yield,
    distributable,
    income_of,
    rate_of,
    seven_day_yield,
    step_of,
)

shares = st.decimals(min_value=0, max_value=10**12, places=2)
figures = st.decimals(min_value=-20, max_value=20, places=4)


def test_a_rate_is_exact_to_eight_decimals() -> None:
    assert str(rate_of(Decimal("1.4670"))) == "0.00014670"


def test_a_figure_with_five_decimals_is_no_figure() -> None:
    with pytest.raises(ArithmeticError):
        rate_of(Decimal("1.46701"))


@pytest.mark.parametrize(
    ("entitled", "per_10k", "paid"),
    [
        ("10000.00", "1.4670", "1.46"),
        ("3333.33", "1.4600", "0.48"),
        ("0.01", "1.4670", "0.00"),
        ("10000.00", "-0.5000", "-0.50"),
        ("10000.00", "-0.5099", "-0.50"),
    ],
)
def test_income_is_cut_toward_zero(entitled: str, per_10k: str, paid: str) -> None:
    income = income_of(entitled=Decimal(entitled), per_10k=Decimal(per_10k), decimals=2)
    assert income.cut == Decimal(paid)


@given(entitled=shares, per_10k=figures)
def test_cut_and_fraction_make_up_the_exact_income(entitled: Decimal, per_10k: Decimal) -> None:
    income = income_of(entitled=entitled, per_10k=per_10k, decimals=2)

    assert income.exact == entitled * per_10k / 10_000
    assert abs(income.cut) <= abs(income.exact)
    assert 0 <= income.fraction < FRACTION_UNITS
    fraction = Decimal(income.fraction) * step_of(2) / FRACTION_UNITS
    assert abs(income.exact) == abs(income.cut) + fraction


@given(total=st.decimals(min_value=-(10**9), max_value=10**9, places=10), before=st.decimals(-1, 1, places=10))
def test_what_is_distributed_and_what_remains_are_all_there_is(total: Decimal, before: Decimal) -> None:
    day = distributable(exact_total=total, remainder_before=before, decimals=2)

    assert day.amount + day.remainder == total + before
    assert abs(day.remainder) < step_of(2)
    assert day.amount == cut(day.amount, decimals=2)


@given(
    net_income=st.decimals(min_value=-1000, max_value=1000, places=2),
    brought_forward=st.decimals(min_value=0, max_value=5, places=2),
    entitled=st.decimals(min_value=1, max_value=10**9, places=2),
)
def test_a_derived_yield_never_pays_more_than_there_is(
    net_income: Decimal, brought_forward: Decimal, entitled: Decimal
) -> None:
    per_10k = derived_yield(net_income=net_income, brought_forward=brought_forward, entitled_total=entitled)

    assert abs(entitled * per_10k / 10_000) <= abs(net_income + brought_forward)


def test_a_fund_without_holders_yields_nothing() -> None:
    assert derived_yield(net_income=Decimal(5), brought_forward=Decimal(0), entitled_total=Decimal(0)) == 0


def test_the_seven_day_yield_compounds_daily() -> None:
    week = [Decimal(figure) for figure in ["1.5787", "1.5461", "1.467", "1.4223", "1.3845", "1.3674", "1.3671"]]

    assert seven_day_yield(week) == Decimal("5.425")


def test_a_seven_day_yield_needs_seven_days() -> None:
    with pytest.raises(ValueError, match="seven days"):
        seven_day_yield([Decimal("1.2")] * 6)
