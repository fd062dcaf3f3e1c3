"""The payments' dated policies, with the defaults that rule until an operator changes them."""

from decimal import Decimal

from superapp.policies import MoneyAmounts, define

TRANSFER_MAXIMUM = define(
    "payments.transfer.maximum",
    type=MoneyAmounts(),
    default={"CNY": Decimal("200000.00")},
    doc="The most that one transfer to a person may carry, by currency; a currency that is not named has no such limit.",
)
