"""The wallet's dated policies: the numbers that operators may change, with the defaults that rule until they do."""

from datetime import timedelta
from decimal import Decimal

from superapp.policies import Count, DurationSeconds, MoneyAmounts, define

PIN_TRIES = define(
    "wallet.pin.tries",
    type=Count(minimum=1, maximum=20),
    default=5,
    doc="How many looks at a payment PIN may go wrong in a row before it is locked.",
)
PIN_LOCKOUT = define(
    "wallet.pin.lockout",
    type=DurationSeconds(minimum=60),
    default=timedelta(hours=3),
    doc="How long a payment PIN stays locked after too many wrong tries.",
)
TOP_UP_MAXIMUM = define(
    "wallet.top_up.maximum",
    type=MoneyAmounts(),
    default={"CNY": Decimal("5000000.00")},
    doc="The most that one top-up may bring, by currency; a currency that is not named has no such limit.",
)
TOP_UP_INQUIRY_AFTER = define(
    "wallet.top_up.inquiry_after",
    type=DurationSeconds(minimum=1),
    default=timedelta(seconds=30),
    doc="How long a top-up waits for its bank's word before the bank is asked.",
)
SMALL_PAYMENT_MAXIMUM = define(
    "wallet.small_payment.maximum",
    type=MoneyAmounts(),
    default={"CNY": Decimal("1000.00")},
    doc="The most a person may choose to pay without PIN at a time, by currency; none in a currency that is not named.",
)
SMALL_PAYMENTS_OF_A_DAY = define(
    "wallet.small_payment.of_a_day",
    type=MoneyAmounts(),
    default={"CNY": Decimal("3000.00")},
    doc="The most that may leave without PIN on one business day, by currency; none in a currency that is not named.",
)
