"""Money at the edges: one constructor that takes only exact amounts, and the two ways to shorten a decimal.

Nothing here rounds silently: `money` and `exact` refuse what does not fit, `cut` drops digits toward zero and is named
so. Amounts are never shown through `str(Money)` (django-money rounds there) but through `plain`.
"""

import re
from decimal import ROUND_DOWN, Context, Decimal, InvalidOperation
from functools import cache

import moneyed
from django.conf import settings
from djmoney.money import Money

from superapp.errors import InvalidAmount

MAX_AMOUNT = Decimal(10) ** 15
"""No amount that is asked for may exceed this many units, by size. Balances and totals, made of many, may."""

_WIDE = Context(prec=60, traps=[InvalidOperation])
_PLAIN = re.compile(r"-?[0-9]{1,16}(\.[0-9]{1,20})?", re.ASCII)


def money(amount: Decimal | int | str, currency: str) -> Money:
    """An exact amount of a currency, zero and negative included.

    Raises InvalidAmount for a float or bool, NaN, infinities, text that is not a plain decimal, a currency the system
    does not carry, more decimals than the currency has, and anything beyond MAX_AMOUNT.
    """
    return Money(exact(_decimal(amount), decimals=minor_unit_decimals(currency)), currency)


def positive(amount: Decimal | int | str, currency: str) -> Money:
    """As `money`, and refuses zero and less."""
    value = money(amount, currency)
    if value.amount <= 0:
        raise InvalidAmount(reason="it must be more than zero")
    return value


@cache
def minor_unit_decimals(currency: str) -> int:
    """How many decimals the currency has (ISO 4217): JPY 0, CNY 2, KWD 3. Raises InvalidAmount if it is not carried."""
    if currency not in settings.CURRENCIES:
        raise InvalidAmount(reason="the currency is not one this system carries")
    sub_units: int = moneyed.get_currency(currency).sub_unit
    return len(str(sub_units)) - 1


def exact(amount: Decimal, *, decimals: int, largest: Decimal | None = MAX_AMOUNT) -> Decimal:
    """The same amount with `decimals` decimals. Raises InvalidAmount when it has more, is no number or too large.

    `largest` is None for a figure that is shown, not asked for: a balance is read however large it has become.
    """
    _check_number(amount, largest)
    shortened = amount.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_DOWN, context=_WIDE)
    if shortened != amount:
        raise InvalidAmount(reason=f"it has more than {decimals} decimals" if decimals else "it takes no decimals")
    return abs(shortened) if shortened == 0 else shortened


def cut(amount: Decimal, *, decimals: int) -> Decimal:
    """The amount cut to `decimals` decimals toward zero: 1.469 → 1.46, -1.469 → -1.46. The caller keeps the rest."""
    _check_number(amount, MAX_AMOUNT)
    shortened = amount.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_DOWN, context=_WIDE)
    return abs(shortened) if shortened == 0 else shortened


def plain(amount: Decimal, decimals: int) -> str:
    """The amount as people and the API see it: "100.00", "-0.50", never an exponent. Raises as `exact`."""
    return format(exact(amount, decimals=decimals), "f")


def _decimal(amount: Decimal | int | str) -> Decimal:
    if isinstance(amount, Decimal):
        return amount
    if isinstance(amount, int) and not isinstance(amount, bool):
        return Decimal(amount)
    if isinstance(amount, str):
        if not _PLAIN.fullmatch(amount):
            raise InvalidAmount(reason="it must be written as a plain decimal number")
        return Decimal(amount)
    raise InvalidAmount(reason=f"it must be a decimal number, not a {type(amount).__name__}")


def _check_number(amount: Decimal, largest: Decimal | None) -> None:
    if not isinstance(amount, Decimal):
        raise InvalidAmount(reason=f"it must be a decimal number, not a {type(amount).__name__}")
    if not amount.is_finite():
        raise InvalidAmount(reason="it is not a number")
    if largest is not None and abs(amount) > largest:
        raise InvalidAmount(reason="it is too large")
