"""What holders owe since a loss or a correction, and which later income has paid of it. Read-only."""

from collections.abc import Collection, Mapping

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.decorators import display

from funds import flows
from funds.admin.incomes import income_title
from funds.models import IncomeShortfall, ShortfallCollection
from superapp import back_office
from superapp.admin import ReadOnlyAdmin, ReadOnlyInline
from superapp.figures import figure
from wallet.admin.links import (
    POSTING_LINKS,
    SUBJECT_RELATIONS,
    Place,
    account_link,
    entry_link,
    link,
    page_of,
    person_link,
)

back_office.ICONS |= {"funds.incomeshortfall": "trending_down"}

SUBJECT_RELATIONS[flows.SHORTFALL_COLLECTED.code] = "what was owed since the {}"


def _shortfalls_of(places: Collection[Place]) -> Mapping[Place, SafeString]:
    found = IncomeShortfall.objects.filter(
        run_id__in={place.subject for place in places}, account_id__in={place.account for place in places}
    ).values_list("pk", "account_id", "run_id")
    return {
        Place(account, run): link("what was owed, and who paid", page_of("funds.incomeshortfall", key))
        for key, account, run in found
    }


POSTING_LINKS[flows.SHORTFALL_COLLECTED.code] = _shortfalls_of


class Collections(ReadOnlyInline):
    """What later income has paid of it, oldest first."""

    model = ShortfallCollection
    verbose_name_plural = "Collected"
    ordering = ["id"]
    fields = ["shown_amount", "paying_run", "entry"]
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[ShortfallCollection]:
        """With what each line names, in the same query."""
        found: QuerySet[ShortfallCollection] = super().get_queryset(request)
        return found.select_related("run", "shortfall__account__asset")

    @display(description="Amount")
    def shown_amount(self, collection: ShortfallCollection) -> SafeString | str:
        """In shares."""
        asset = collection.shortfall.account.asset
        return figure(collection.amount, asset.decimals, asset.code)

    @display(description="Paid by")
    def paying_run(self, collection: ShortfallCollection) -> SafeString:
        """The run whose income paid."""
        return link(income_title(collection.run), page_of("superapp.run", collection.run_id))

    @display(description="Entry")
    def entry(self, collection: ShortfallCollection) -> SafeString | str:
        """The journal entry that took it."""
        return entry_link(collection.entry_id)


@admin.register(IncomeShortfall)
class IncomeShortfallAdmin(ReadOnlyAdmin):
    """What negative income took from holders who no longer had it: owed to the fund."""

    list_display = ["fund", "owner_link", "shown_amount", "shown_collected", "shown_run"]
    list_filter = ["fund"]
    list_select_related = ["fund", "account__owner", "account__asset", "run"]
    inlines = [Collections]
    fields = ["fund", "owner_link", "account_page", "shown_amount", "shown_collected", "run_page"]
    readonly_fields = ["owner_link", "account_page", "shown_amount", "shown_collected", "run_page"]
    ordering = ["-id"]

    @display(description="Person")
    def owner_link(self, shortfall: IncomeShortfall) -> SafeString | str:
        """Who owes it."""
        return person_link(shortfall.account.owner)

    @display(description="Account")
    def account_page(self, shortfall: IncomeShortfall) -> SafeString:
        """The holding that ran short."""
        return account_link(shortfall.account)

    @display(description="Owed")
    def shown_amount(self, shortfall: IncomeShortfall) -> SafeString | str:
        """In shares."""
        return figure(shortfall.amount, shortfall.account.asset.decimals, shortfall.account.asset.code)

    @display(description="Collected")
    def shown_collected(self, shortfall: IncomeShortfall) -> SafeString | str:
        """What later income has paid of it."""
        return figure(shortfall.collected, shortfall.account.asset.decimals, shortfall.account.asset.code)

    @display(description="Left by", ordering="run")
    def shown_run(self, shortfall: IncomeShortfall) -> str:
        """The run that took more than there was."""
        return income_title(shortfall.run)

    @display(description="Left by")
    def run_page(self, shortfall: IncomeShortfall) -> SafeString:
        """The run that took more than there was."""
        return link(income_title(shortfall.run), page_of("superapp.run", shortfall.run_id))
