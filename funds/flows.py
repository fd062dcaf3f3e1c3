"""The funds' rows of the flow table. A fund's system accounts carry its code as their scope."""

from wallet.flows import (
    BANK,
    FUND,
    FUND_CASH,
    FUND_ISSUED,
    FUND_ORDERS,
    FUND_UNDISTRIBUTED,
    OWED,
    REDEMPTIONS,
    SHARES,
    WALLET,
    credit,
    debit,
    declare_kind,
    either,
)

SUBSCRIPTION_PLACED = declare_kind(
    "subscription_placed",
    legs=[debit(WALLET), credit(FUND_ORDERS)],
    description="Cash for shares is set aside; it earns nothing yet and cannot be spent.",
)
SUBSCRIPTION_RETURNED = declare_kind(
    "subscription_returned",
    legs=[debit(FUND_ORDERS), credit(WALLET)],
    description="A cancelled or rejected subscription gives its cash back.",
)
SUBSCRIPTION_CONFIRMED = declare_kind(
    "subscription_confirmed",
    legs=[debit(FUND_ORDERS), credit(FUND_CASH), debit(FUND_ISSUED, SHARES), credit(FUND, SHARES)],
    description="The cash goes to the fund, the shares come; both count from 00:00 of the confirmation day.",
)
REDEMPTION_PLACED = declare_kind(
    "redemption_placed",
    legs=[],
    description="Shares are held for a redemption, and free again if it is cancelled; until they leave they go on earning. "
    "Writes no entry, only moves the hold.",
)
REDEMPTION_LEFT = declare_kind(
    "redemption_left",
    legs=[debit(FUND, SHARES), credit(FUND_ISSUED, SHARES), debit(FUND_CASH), credit(REDEMPTIONS)],
    description="Redeemed shares leave at 00:00 of the trading day after T; their cash is due.",
)
REDEMPTION_PAID = declare_kind(
    "redemption_paid",
    legs=[debit(REDEMPTIONS), credit(WALLET)],
    description="The cash of redeemed shares reaches the wallet.",
)
MANAGER_SETTLEMENT = declare_kind(
    "manager_settlement",
    legs=[either(FUND_CASH), either(BANK)],
    description="The day's net cash goes to the fund's manager, or comes from them.",
)
FUND_INCOME = declare_kind(
    "fund_income",
    legs=[debit(FUND_ISSUED, SHARES), credit(FUND, SHARES)],
    description="One batch of holders gets the income of a day, counting from 00:00 of the next.",
    arithmetic="fund-arithmetic.md",
)
FUND_CORRECTION = declare_kind(
    "fund_correction",
    legs=[either(FUND_ISSUED, SHARES), either(FUND, SHARES), debit(OWED, SHARES)],
    description="Holders bear a negative day, get the difference of a corrected one, or give back a cent where the "
    "remainder of the day before was below zero; what one lacks is owed.",
    arithmetic="fund-arithmetic.md",
)
SHORTFALL_COLLECTED = declare_kind(
    "shortfall_collected",
    legs=[debit(FUND, SHARES), credit(OWED, SHARES)],
    description="What a holder owes since a loss or a correction is taken from later income.",
    arithmetic="fund-arithmetic.md",
)
FUND_INCOME_CARRIED = declare_kind(
    "fund_income_carried",
    legs=[either(FUND_ISSUED, SHARES), either(FUND_UNDISTRIBUTED, SHARES)],
    description="What the cuts left over is carried to the next day, or what was brought forward is used.",
    arithmetic="fund-arithmetic.md",
)
