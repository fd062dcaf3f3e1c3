"""Amounts as the back office shows them: grouped, aligned, with the decimals of their asset and never another digit."""

from decimal import Decimal

from django.utils.html import format_html
from django.utils.safestring import SafeString

from superapp.money import exact

MISSING = "–"


def figure(amount: Decimal | None, decimals: int, unit: str = "") -> SafeString | str:
    """The amount with thousands separated, e.g. "1,234.50 CNY", in digits of equal width; a dash for none.

    Raises InvalidAmount when the amount has more decimals than `decimals`: a figure that hides digits would lie.
    """
    if amount is None:
        return MISSING
    return format_html(
        '<span class="whitespace-nowrap" style="font-variant-numeric:tabular-nums">{}{}</span>',
        f"{exact(amount, decimals=decimals, largest=None):,f}",
        f" {unit}" if unit else "",
    )
