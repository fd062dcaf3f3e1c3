"""The catalogue of funds, and what the viewer has in them."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

import strawberry

from funds import catalogue, explanation, holdings, models
from funds.graphql.types import (
    DayIncome,
    From,
    Fund,
    FundOrder,
    Holding,
    IncomeExplanation,
    To,
    check_range,
    funds_seen_by,
)
from superapp.errors import NotFound
from superapp.graphql.context import Info
from superapp.graphql.queries import ViewerFields
from superapp.graphql.relay import (
    After,
    Before,
    Connection,
    Cursors,
    First,
    Last,
    from_queryset,
    node_type,
    page_of,
)
from superapp.graphql.scalars import Money
from superapp.models import User

ORDER_CURSORS = Cursors(name="fundOrders", types=(UUID,))

MOST_FUNDS = 200
"""A catalogue is curated by operators; it is not a list that grows by itself."""

FundCode = Annotated[str, strawberry.argument(description="The fund's code.")]


@strawberry.enum(description="How a catalogue is ordered.")
class FundSort(Enum):
    CODE = strawberry.enum_value("code", description="By code.")
    SEVEN_DAY_YIELD = strawberry.enum_value("seven_day_yield", description="The highest 7-day yield first.")
    INCOME_PER_10K = strawberry.enum_value("income_per_10k", description="The highest latest income first.")


@strawberry.type
class FundsFields(ViewerFields):
    """What the viewer has in funds, and what it earned."""

    @strawberry.field(description="The viewer's funds: shares, orders under way or a past, by the fund's code.")
    def holdings(self) -> list[Holding]:
        found = holdings.holdings_of(self.person.pk)
        shown = funds_seen_by(self.person.pk, [holding.fund for holding in found])
        return [Holding.of(holding, fund) for holding, fund in zip(found, shown, strict=True)]

    @strawberry.field(
        description="What a fund paid the viewer for each day of a range, days without income left out; empty for a fund "
        "the viewer never held."
    )
    def income(self, fund: FundCode, from_: From, to: To) -> list[DayIncome]:
        check_range(from_, to)
        try:
            row = catalogue.fund_named(fund)
        except NotFound:
            return []
        days = holdings.income_of(person_id=self.person.pk, fund=row, low=from_, high=to)
        return [DayIncome(day=day.day, amount=Money.of(day.amount, row.currency)) for day in days]

    @strawberry.field(
        description="How the viewer's income of a day was worked out; null for a day that has not been paid and for a "
        "fund the viewer never held."
    )
    def income_explained(
        self, fund: FundCode, day: Annotated[date, strawberry.argument(description="The day that earned it.")]
    ) -> IncomeExplanation | None:
        try:
            found = explanation.explain(person_id=self.person.pk, fund_code=fund, day=day)
            return IncomeExplanation.of(found, catalogue.fund_named(fund).currency)
        except NotFound:
            return None

    @strawberry.field(description="The viewer's fund orders, newest first.")
    def fund_orders(
        self, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[FundOrder]:
        page = page_of(ORDER_CURSORS, first=first, after=after, last=last, before=before)
        return from_queryset(page, holdings.orders_of(self.person.pk), order=["-id"], node=FundOrder.of)


@strawberry.type
class Query:
    """The catalogue."""

    @strawberry.field(description="The funds there are.")
    def funds(
        self,
        info: Info,
        sort: Annotated[FundSort, strawberry.argument(description="In which order.")] = FundSort.CODE,
    ) -> list[Fund]:
        rows = list(models.Fund.objects.order_by("code")[:MOST_FUNDS])
        shown = funds_seen_by(_viewer_id(info.context.user), rows)
        if sort is FundSort.SEVEN_DAY_YIELD:
            shown.sort(key=lambda fund: _highest_first(fund.seven_day_yield))
        elif sort is FundSort.INCOME_PER_10K:
            shown.sort(key=lambda fund: _highest_first(fund.income_per_10k))
        return shown

    @strawberry.field(description="The fund of that code; null when there is none.")
    def fund(self, info: Info, code: FundCode) -> Fund | None:
        row = models.Fund.objects.filter(code=code).first()
        return funds_seen_by(_viewer_id(info.context.user), [row])[0] if row else None


@node_type("Fund")
def funds_by_id(viewer: User | None, ids: Sequence[UUID]) -> Mapping[UUID, Any]:
    """Funds are public."""
    rows = list(models.Fund.objects.filter(id__in=ids))
    return {fund.row.id: fund for fund in funds_seen_by(_viewer_id(viewer), rows)}


@node_type("FundOrder")
def fund_orders_by_id(viewer: User | None, ids: Sequence[UUID]) -> Mapping[UUID, Any]:
    """Of these orders, the viewer's own."""
    if viewer is None:
        return {}
    return {row.id: FundOrder.of(row) for row in holdings.orders_of(viewer.pk).filter(id__in=ids)}


def _viewer_id(viewer: User | None) -> UUID | None:
    return viewer.pk if viewer else None


def _highest_first(figure: Decimal | None) -> tuple[bool, Decimal]:
    return (figure is None, -(figure or Decimal(0)))
