"""What the API says of funds, orders, holdings and income."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated
from uuid import UUID

import strawberry

from funds import explanation, holdings, models, orders, yields
from funds.catalogue import Operation
from funds.overview import Overview, overviews
from superapp.graphql.context import Info
from superapp.graphql.errors import ApiError
from superapp.graphql.relay import Node, node_id
from superapp.graphql.scalars import CurrencyCode, Money, Rate

MOST_DAYS = 400
"""A range of days in one request: a year and a bit."""


@strawberry.enum(description="What a fund allows.")
class FundState(Enum):
    OPEN = strawberry.enum_value("open", description="Subscriptions and redemptions.")
    PURCHASES_SUSPENDED = strawberry.enum_value("purchases_suspended", description="Redemptions only, for a time.")
    REDEMPTIONS_SUSPENDED = strawberry.enum_value(
        "redemptions_suspended", description="Subscriptions only, for a time."
    )
    CLOSING = strawberry.enum_value("closing", description="Redemptions only, for good; income goes on.")


@strawberry.enum(description="What becomes of the cents that cutting each holder's income leaves over.")
class LeftoverPolicy(Enum):
    HAND_OUT = strawberry.enum_value("hand_out", description="Handed out in cents to the largest cut fractions.")
    CARRY = strawberry.enum_value("carry", description="Carried to the next day's income.")
    LEAVE_IN_FUND = strawberry.enum_value(
        "leave_in_fund", description="Left in the fund for the manager's next figure."
    )


@strawberry.enum(description="Which way an order goes.")
class FundOrderSide(Enum):
    SUBSCRIBE = strawberry.enum_value("subscribe", description="Cash into shares.")
    REDEEM = strawberry.enum_value("redeem", description="Shares into cash.")


@strawberry.enum(description="Where an order stands.")
class FundOrderState(Enum):
    PLACED = strawberry.enum_value("placed", description="It waits for its day.")
    CONFIRMED = strawberry.enum_value("confirmed", description="The shares are there and earn. Final.")
    LEFT = strawberry.enum_value("left", description="The shares have left; the cash is on its way.")
    PAID = strawberry.enum_value("paid", description="The cash is in the wallet. Final.")
    CANCELLED = strawberry.enum_value("cancelled", description="Taken back, or nothing was left of it. Final.")
    REJECTED = strawberry.enum_value("rejected", description="The cash came back. Final.")


@strawberry.type(description="One version of a fund's terms.")
class FundTerms:
    version: int = strawberry.field(description="Its number, from 1.")
    text: str = strawberry.field(description="The terms.")
    effective_from: datetime = strawberry.field(description="Since when they are in force.")
    accepted: bool = strawberry.field(description="Whether the viewer has accepted them; false for nobody signed in.")


@strawberry.type(description="What a fund earned on one day.")
class FundYield:
    day: date = strawberry.field(description="The day.")
    income_per_10k: Rate | None = strawberry.field(
        description="Income of the day per 10,000 shares, 4 decimals; null while it is being worked out."
    )
    seven_day_yield: Rate | None = strawberry.field(
        description="Annualised yield of the seven days up to this one, percent, 3 decimals; null unless all are known."
    )
    revision: int = strawberry.field(description="0 as first published; each correction adds one.")

    @classmethod
    def of(cls, figure: yields.DayYield) -> "FundYield":
        """The figure of a day."""
        return cls(
            day=figure.day,
            income_per_10k=_rate(figure.per_10k),
            seven_day_yield=_rate(figure.seven_day),
            revision=figure.revision,
        )


From = Annotated[date, strawberry.argument(name="from", description="First day, included.")]
To = Annotated[date, strawberry.argument(description="Last day, included; at most 400 days from the first.")]


@strawberry.type(description="A money-market fund; a share is always worth 1.0000 of its currency.")
class Fund(Node):
    row: strawberry.Private[models.Fund]
    siblings: strawberry.Private[Sequence[models.Fund]]
    code: str = strawberry.field(description="What mutations name it by.")
    name: str = strawberry.field(description="Its name.")
    currency: CurrencyCode = strawberry.field(description="What it is bought with.")
    state: FundState = strawberry.field(description="What it allows.")
    can_subscribe: bool = strawberry.field(description="Whether it takes subscriptions now.")
    can_redeem: bool = strawberry.field(description="Whether it takes redemptions now.")
    minimum: Money = strawberry.field(description="The least that can be subscribed.")
    leftover_policy: LeftoverPolicy = strawberry.field(description="What becomes of cents that cuts leave over.")
    income_per_10k: Rate | None = strawberry.field(description="Latest income of a day per 10,000 shares, 4 decimals.")
    seven_day_yield: Rate | None = strawberry.field(
        description="Annualised yield of the seven days up to `asOf`, percent, 3 decimals; null unless all are known."
    )
    as_of: date | None = strawberry.field(description="The day of these two figures; null when there is none yet.")
    stale: bool = strawberry.field(description="Whether yesterday's figure is still missing.")
    terms: FundTerms | None = strawberry.field(description="The terms in force; without any it cannot be bought.")

    @strawberry.field(description="The figures of each day that is over, in order.")
    def yields(self, info: Info, from_: From, to: To) -> list[FundYield]:
        check_range(from_, to)
        # One query for all funds of the answer: whoever asks first reads for its siblings.
        memo, key = info.context.memo, ("fund yields", from_, to, tuple(fund.id for fund in self.siblings))
        if key not in memo:
            memo[key] = yields.latest(funds=self.siblings, low=from_, high=to)
        return [FundYield.of(figure) for figure in memo[key][self.row.id]]

    @classmethod
    def of(cls, overview: Overview, siblings: Sequence[models.Fund]) -> "Fund":
        """The fund as the viewer sees it."""
        fund, last, terms = overview.fund, overview.last, overview.terms
        return cls(
            id=node_id("Fund", fund.id),
            row=fund,
            siblings=siblings,
            code=fund.code,
            name=fund.name,
            currency=CurrencyCode(fund.currency),
            state=FundState(fund.state),
            can_subscribe=overview.allows(Operation.SUBSCRIBE),
            can_redeem=overview.allows(Operation.REDEEM),
            minimum=Money.of(fund.minimum, fund.currency),
            leftover_policy=LeftoverPolicy(fund.leftover),
            income_per_10k=_rate(last.per_10k if last else None),
            seven_day_yield=_rate(overview.seven_day),
            as_of=last.day if last else None,
            stale=overview.stale,
            terms=FundTerms(
                version=terms.version,
                text=terms.text,
                effective_from=terms.effective_from,
                accepted=overview.terms_accepted,
            )
            if terms
            else None,
        )


@strawberry.type(description="An order to buy or give back shares of a fund. Only its owner sees it.")
class FundOrder(Node):
    fund_code: str = strawberry.field(description="The fund's code.")
    fund_name: str = strawberry.field(description="The fund's name.")
    side: FundOrderSide = strawberry.field(description="Which way.")
    state: FundOrderState = strawberry.field(description="Where it stands.")
    amount: Money | None = strawberry.field(
        description="Shares and cash alike; null for a redemption of all until its shares have left."
    )
    redeems_all: bool = strawberry.field(description="Whether it takes all shares there are when they leave.")
    placed_at: datetime = strawberry.field(description="When it was placed.")
    trade_day: date = strawberry.field(description="The trading day it belongs to, T.")
    effective_day: date = strawberry.field(
        description="A subscription is confirmed, a redemption's shares leave, at 00:00 of this day."
    )
    first_income_day: date | None = strawberry.field(description="Of a subscription: the first day it earns.")
    last_income_day: date | None = strawberry.field(description="Of a redemption: the last day its shares earn.")
    cancellable_until: datetime | None = strawberry.field(
        description="Until when it can be cancelled, this instant excluded; null once it has begun or ended."
    )

    @classmethod
    def of(cls, row: models.FundOrder) -> "FundOrder":
        """The order behind a row that was read with its fund."""
        buys = row.side == models.FundOrder.Side.SUBSCRIBE
        waits = row.state == models.FundOrder.State.PLACED
        return cls(
            id=node_id("FundOrder", row.id),
            fund_code=row.fund.code,
            fund_name=row.fund.name,
            side=FundOrderSide(row.side),
            state=FundOrderState(row.state),
            amount=None if row.amount is None else Money.of(row.amount, row.fund.currency),
            redeems_all=row.whole,
            placed_at=row.placed_at,
            trade_day=row.trade_day,
            effective_day=row.effective_day,
            first_income_day=row.effective_day if buys else None,
            last_income_day=None if buys else row.effective_day - timedelta(days=1),
            cancellable_until=orders.cut_off_of(row) if waits else None,
        )


@strawberry.type(description="What the viewer has in one fund: shares = available + held.")
class Holding:
    fund: Fund = strawberry.field(description="The fund.")
    account_id: strawberry.ID = strawberry.field(description="The account of the shares.")
    shares: Money = strawberry.field(description="All shares, at 1.0000 each.")
    value: Money = strawberry.field(description="What the shares are worth.")
    available: Money = strawberry.field(description="What can be redeemed now.")
    held: Money = strawberry.field(description="What open redemptions have set aside; it goes on earning.")
    pending: Money = strawberry.field(description="Subscribed and not confirmed: no shares yet, and no income.")
    yesterday_income: Money = strawberry.field(description="What was paid for yesterday; 0 until it is.")
    total_income: Money = strawberry.field(description="All that was ever paid.")

    @classmethod
    def of(cls, holding: holdings.Holding, fund: Fund) -> "Holding":
        """The holding as it stands."""
        currency = holding.fund.currency
        return cls(
            fund=fund,
            account_id=node_id("Account", holding.account_id),
            shares=Money.of(holding.shares, currency),
            value=Money.of(holding.shares, currency),
            available=Money.of(holding.available, currency),
            held=Money.of(holding.held, currency),
            pending=Money.of(holding.pending, currency),
            yesterday_income=Money.of(holding.yesterday_income, currency),
            total_income=Money.of(holding.total_income, currency),
        )


@strawberry.type(description="What the viewer got from a fund for one day: one point of a chart.")
class DayIncome:
    day: date = strawberry.field(description="The day that earned it.")
    amount: Money = strawberry.field(description="Corrections included; below zero on a day that lost.")


@strawberry.type(
    description="How the viewer's income of one day was worked out, by its latest figure; paid = cut + handedOut."
)
class IncomeExplanation:
    day: date = strawberry.field(description="The day.")
    revision: int = strawberry.field(description="0 as first published; each correction adds one.")
    entitled: Money = strawberry.field(
        description="Shares that counted: effective before the day's end, as known when it was frozen."
    )
    income_per_10k: Rate = strawberry.field(description="The fund's income of the day per 10,000 shares.")
    exact: Rate = strawberry.field(description="entitled x incomePer10k / 10,000, every digit.")
    cut: Money = strawberry.field(description="The exact income to the minor unit, toward zero.")
    fraction: Rate = strawberry.field(description="How much of one minor unit the cut took off; from 0 to below 1.")
    threshold: Rate | None = strawberry.field(
        description="Larger fractions got one minor unit, equal ones by account; null when nothing was handed out."
    )
    handed_out: Money = strawberry.field(description="What came back of all cuts together.")
    paid: Money = strawberry.field(description="What the day came to.")
    why: str = strawberry.field(description="What became of what the cuts left over, in English.")

    @classmethod
    def of(cls, found: explanation.Explanation, currency: str) -> "IncomeExplanation":
        """The explanation of a day."""
        return cls(
            day=found.day,
            revision=found.revision,
            entitled=Money.of(found.entitled, currency),
            income_per_10k=Rate(found.per_10k),
            exact=Rate(found.exact),
            cut=Money.of(found.cut, currency),
            fraction=Rate(found.fraction),
            threshold=_rate(found.threshold),
            handed_out=Money.of(found.handed_out, currency),
            paid=Money.of(found.paid, currency),
            why=found.why,
        )


def funds_seen_by(person_id: UUID | None, rows: Sequence[models.Fund]) -> list[Fund]:
    """The funds as a viewer sees them, in the given order, in a constant number of queries."""
    return [Fund.of(overview, rows) for overview in overviews(rows, person_id=person_id)]


def check_range(first: date, last: date) -> None:
    """Raises the top-level error BAD_REQUEST for a range that runs backwards or is too long."""
    if not 0 <= (last - first).days < MOST_DAYS:
        raise ApiError("BAD_REQUEST", f"A range of days runs forward and has at most {MOST_DAYS} days.")


def _rate(figure: Decimal | None) -> Rate | None:
    return None if figure is None else Rate(figure)
