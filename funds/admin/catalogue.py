"""Funds, each with its yields, its days and the versions of its terms. Read-only."""

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce, JSONObject
from django.http import HttpRequest
from django.urls import URLPattern
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import display

from funds.admin.incomes import explained_path
from funds.arithmetic import DAYS_OF_THE_YIELD, seven_day_yield
from funds.models import Fund, FundDay, FundOrder, FundTerms, ManagerSettlement, Yield
from funds.yield_chart import Point, chart, sparkline
from superapp import back_office, clock
from superapp.admin import EMPTY, ReadOnlyAdmin, ReadOnlyInline
from superapp.figures import figure
from superapp.money import minor_unit_decimals
from wallet.admin.links import link, list_address, page_of

back_office.ICONS |= {"funds.fund": "trending_up"}

DAYS_SHOWN = 90
"""Days of yield in a chart."""


class Terms(ReadOnlyInline):
    """Every version of the terms."""

    model = FundTerms
    verbose_name_plural = "Terms"
    fields = ["version", "effective_from", "text"]
    readonly_fields = fields


class Days(ReadOnlyInline):
    """The fund's days as they were frozen and paid, latest first."""

    model = FundDay
    verbose_name_plural = "Days frozen and paid"
    ordering = ["-day"]
    fields = ["day", "per_10k", "frozen_at", "run"]
    readonly_fields = fields

    @display(description="Run")
    def run(self, day: FundDay) -> SafeString | str:
        """The run that paid the day."""
        return link("income run", page_of("superapp.run", day.closed_by_id)) if day.closed_by_id else EMPTY


class Yields(ReadOnlyInline):
    """Published figures, corrections included, latest first."""

    model = Yield
    verbose_name_plural = "Yields"
    ordering = ["-day", "-revision"]
    fields = ["day", "revision", "per_10k", "net_income", "seven_day_published", "published_at"]
    readonly_fields = fields


@admin.register(Fund)
class FundAdmin(ReadOnlyAdmin):
    """Funds with their yields."""

    list_display = ["code", "name", "currency", "state_label", "last_yield", "seven_day", "line", "frozen_through"]
    list_filter = ["state", "currency"]
    search_fields = ["code__istartswith", "name__icontains"]
    inlines = [Yields, Days, Terms]
    fieldsets = [
        (None, {"fields": [("code", "name"), ("state_label", "pages")]}),
        ("Yield", {"fields": [("last_yield", "seven_day"), "figure_chart"]}),
        (
            "How it works",
            {"fields": [("currency", "shown_minimum"), ("carry", "zone"), ("leftover", "yield_basis")]},
        ),
        ("Days", {"fields": [("first_day", "frozen_through"), "created_at"]}),
    ]
    readonly_fields = ["state_label", "last_yield", "seven_day", "figure_chart", "pages", "shown_minimum"]

    def get_urls(self) -> list[URLPattern]:
        """With the page that tells how a holder's income was worked out."""
        return [explained_path(), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Fund]:
        """Funds with the figures of their last days that are over, in the same query."""
        figures = (
            Yield.objects.filter(
                fund=OuterRef("pk"), day__lt=clock.today(), day__gte=clock.today() - timedelta(days=DAYS_SHOWN)
            )
            .order_by("day", "-revision")
            .distinct("day")
            .values(
                figure=JSONObject(
                    day="day",
                    per_10k=Coalesce(
                        "per_10k",
                        Subquery(
                            FundDay.objects.filter(fund=OuterRef("fund"), day=OuterRef("day")).values("per_10k")[:1]
                        ),
                    ),
                )
            )
        )
        funds: QuerySet[Fund] = super().get_queryset(request)
        return funds.annotate(figures=ArraySubquery(figures))

    @display(
        description="State",
        ordering="state",
        label={"Open": "success", "Purchases suspended": "warning", "Redemptions suspended": "danger"},
    )
    def state_label(self, fund: Fund) -> str:
        """What may be done."""
        return fund.get_state_display()

    @display(description="Per 10,000")
    def last_yield(self, fund: Fund) -> str:
        """The latest figure with its day."""
        points = _points(fund)
        return f"{points[-1][1]} on {points[-1][0]}" if points else EMPTY

    @display(description="7-day yield, %")
    def seven_day(self, fund: Fund) -> str:
        """Annualised, of the seven days up to the latest figure; a dash when one of them is missing."""
        points = _points(fund)[-DAYS_OF_THE_YIELD:]
        if len(points) < DAYS_OF_THE_YIELD or (points[-1][0] - points[0][0]).days != DAYS_OF_THE_YIELD - 1:
            return EMPTY
        return str(seven_day_yield([per_10k for _, per_10k in points]))

    @display(description=f"Last {DAYS_SHOWN} days")
    def line(self, fund: Fund) -> SafeString | str:
        """The figures as a small line."""
        return sparkline(_points(fund)) or EMPTY

    @display(description=f"Income per 10,000, last {DAYS_SHOWN} days")
    def figure_chart(self, fund: Fund) -> SafeString | str:
        """The figures as a chart."""
        return chart(_points(fund)) or EMPTY

    @display(description="Minimum")
    def shown_minimum(self, fund: Fund) -> SafeString | str:
        """The least that can be subscribed."""
        return figure(fund.minimum, minor_unit_decimals(fund.currency), fund.currency)

    @display(description="See also")
    def pages(self, fund: Fund) -> SafeString:
        """What to do from here, and where to look."""
        return format_html_join(
            " · ",
            "{}",
            (
                [link("Publish a yield", f"{list_address(Yield)}add/?fund={fund.pk}")],
                [link("Orders", list_address(FundOrder, fund=fund.pk))],
                [link("Settlements with the manager", list_address(ManagerSettlement, fund=fund.pk))],
            ),
        )


def _points(fund: Fund) -> list[Point]:
    figures: Iterable[dict[str, Any]] = getattr(fund, "figures", [])
    return [
        (date.fromisoformat(each["day"]), Decimal(str(each["per_10k"])).quantize(Decimal("0.0001")))
        for each in figures
        if each["per_10k"] is not None
    ]
