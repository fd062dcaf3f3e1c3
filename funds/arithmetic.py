"""The fund's arithmetic, alone: exact, in decimals, without a database.

| figure | rule |
|---|---|
| a holder's income | entitled shares x y / 10,000, cut to the minor unit toward zero |
| what a day can hand out | cut(sum of the exact incomes + what remained below a cent the day before) |
| a derived y | cut to 4 decimals of (net income + brought forward) x 10,000 / entitled shares |
| 7-day yield, daily carry | (product of (1 + y / 10,000) over seven days) ** (365 / 7) - 1, percent, 3 decimals, half up |

`y` is the income of one day per 10,000 shares, with 4 decimals. Nothing here is rounded unless its rule says so: the
working precision is far above what any amount of this ledger needs, and an inexact step outside a rule raises.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal, Inexact

PER = 10_000
"""y is quoted for this many shares."""
Y_DECIMALS = 4
RATE_DECIMALS = 8
"""Decimals of y / 10,000, the income of one share."""
FRACTION_UNITS = 10**RATE_DECIMALS
"""Below one step of the minor unit an exact income has this many possible fractions."""
DAYS_OF_THE_YIELD = 7

EXACT = Context(prec=60, traps=[Inexact])
ROUNDED = Context(prec=60)


@dataclass(frozen=True, slots=True)
class Income:
    """One holder's income of one day before anything is handed out again."""

    exact: Decimal
    cut: Decimal
    """To the minor unit, toward zero."""
    fraction: int
    """How much the cut took off, in 1 / FRACTION_UNITS of a step, without a sign."""


def rate_of(per_10k: Decimal) -> Decimal:
    """The income of one share, exact: y / 10,000. Raises `decimal.Inexact` when y has more than 4 decimals."""
    return per_10k.scaleb(-4, EXACT).quantize(Decimal(1).scaleb(-RATE_DECIMALS), context=EXACT)


def step_of(decimals: int) -> Decimal:
    """One unit of the last place an asset keeps: 0.01 for CNY."""
    return Decimal(1).scaleb(-decimals)


def cut(amount: Decimal, *, decimals: int) -> Decimal:
    """`amount` with what is below its minor unit dropped, toward zero: 1.469 → 1.46, -1.469 → -1.46."""
    return amount.quantize(step_of(decimals), rounding=ROUND_DOWN, context=ROUNDED)


def income_of(*, entitled: Decimal, per_10k: Decimal, decimals: int) -> Income:
    """What `entitled` shares earn on a day that yields `per_10k`."""
    exact = EXACT.multiply(entitled, rate_of(per_10k))
    whole = cut(exact, decimals=decimals)
    fraction = abs(EXACT.subtract(exact, whole)).scaleb(decimals + RATE_DECIMALS, EXACT)
    return Income(exact=exact, cut=whole, fraction=int(fraction))


@dataclass(frozen=True, slots=True)
class Distributable:
    """What a day hands out, and what stays below a cent for the next day."""

    amount: Decimal
    remainder: Decimal


def distributable(*, exact_total: Decimal, remainder_before: Decimal, decimals: int) -> Distributable:
    """cut(sum of exact incomes + remainder of the day before); the rest is the new remainder, exact and below a step."""
    total = EXACT.add(exact_total, remainder_before)
    amount = cut(total, decimals=decimals)
    return Distributable(amount=amount, remainder=EXACT.subtract(total, amount))


def derived_yield(*, net_income: Decimal, brought_forward: Decimal, entitled_total: Decimal) -> Decimal:
    """y from a day's net income: cut to 4 decimals, so that never more is paid than there is. 0 without holders."""
    if not entitled_total:
        return Decimal(0).quantize(step_of(Y_DECIMALS))
    available = EXACT.multiply(EXACT.add(net_income, brought_forward), Decimal(PER))
    return ROUNDED.divide(available, entitled_total).quantize(step_of(Y_DECIMALS), rounding=ROUND_DOWN, context=ROUNDED)


def seven_day_yield(figures: Sequence[Decimal]) -> Decimal:
    """The annualised yield, in percent with 3 decimals, of seven calendar days of a fund that carries daily.

    `figures` are the y of the seven days; raises ValueError for any other number of them.
    """
    if len(figures) != DAYS_OF_THE_YIELD:
        raise ValueError(f"A 7-day yield needs the figures of seven days, not of {len(figures)}.")
    growth = Decimal(1)
    for per_10k in figures:
        growth = ROUNDED.multiply(growth, 1 + rate_of(per_10k))
    year = ROUNDED.power(growth, ROUNDED.divide(Decimal(365), Decimal(DAYS_OF_THE_YIELD)))
    return ((year - 1) * 100).quantize(Decimal("0.001"), rounding=ROUND_HALF_UP, context=ROUNDED)
