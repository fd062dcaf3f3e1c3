"""What operators may set about funds, dated and per fund (the scope is the fund's code)."""

from superapp.policies import Count, TimeOfDay, define

CUT_OFF = define(
    "funds.cut_off",
    type=TimeOfDay(),
    default="15:00",
    doc="Orders before this time of a trading day, in the fund's zone, belong to it; from this time on to the next.",
)
MANAGER_SETTLEMENT_TIME = define(
    "funds.manager_settlement_time",
    type=TimeOfDay(),
    default="10:00",
    doc="From this time of a bank day the day's cash goes to the fund's manager, or comes from them.",
)
INCOME_BATCH_ACCOUNTS = define(
    "funds.income_batch_accounts",
    type=Count(minimum=1, maximum=20_000),
    default=20_000,
    doc="How many accounts one batch of an income run holds; each batch is one transaction.",
)
