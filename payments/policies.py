"""The payments' dated policies, with the defaults that rule until an operator changes them."""

from decimal import Decimal

from superapp.policies import Count, MoneyAmounts, define

TRANSFER_MAXIMUM = define(
    "payments.transfer.maximum",
    type=MoneyAmounts(),
    default={"CNY": Decimal("200000.00")},
    doc="The most that one transfer to a person may carry, by currency; a currency that is not named has no such limit.",
)
PHONE_LOOKUPS_AN_HOUR = define(
    "payments.phone_lookups_an_hour",
    type=Count(minimum=1, maximum=10_000),
    default=100,
    doc="How many phone numbers one person may name in an hour, to look somebody up or to pay.",
)
