"""Amounts as the back office shows them: grouped, aligned, with the decimals of their asset and never a digit hidden."""

from decimal import Context, Decimal

from django.utils.html import format_html
from django.utils.safestring import SafeString

from superapp.money import exact

MISSING = "–"

_WIDE = Context(prec=60)
"""More digits than any total has."""


def figure(amount: Decimal | None, decimals: int, unit: str = "") -> SafeString | str:
    """The amount with thousands separated, e.g. "1,234.50 CNY", in digits of equal width; a dash for none.

    An amount with more decimals than `decimals`, or one that is no number, as only a hand can write them, is shown as it
    is: a figure that hides digits would lie, and a page that refuses them would hide the fault from whoever looks for it.
    """
    if amount is None:
        return MISSING
    if not amount.is_finite():
        return _in_equal_digits(str(amount), unit)
    digits = -int(amount.normalize(_WIDE).as_tuple().exponent)
    return _in_equal_digits(f"{exact(amount, decimals=max(decimals, digits), largest=None):,f}", unit)


def _in_equal_digits(written: str, unit: str) -> SafeString:
    return format_html(
        '<span class="whitespace-nowrap" style="font-variant-numeric:tabular-nums">{}{}</span>',
        written,
        f" {unit}" if unit else "",
    )
