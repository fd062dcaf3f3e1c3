"""The ledger's pages: accounts with their postings, entries, holds, the trial balance. Nobody changes anything here."""

from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import (
    Case,
    DecimalField,
    ExpressionWrapper,
    F,
    OuterRef,
    QuerySet,
    Subquery,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from superapp import back_office
from superapp.admin import EMPTY, PERSON_LINKS, ReadOnlyAdmin
from superapp.figures import figure
from wallet import flows, journal
from wallet.admin.links import (
    Place,
    account_link,
    account_of_posting,
    asset_of_posting,
    entry_link,
    entry_of_posting,
    held_for,
    link,
    list_address,
    owner_of_posting,
    page_of,
    person_link,
    posting_links,
    subject_links,
)
from wallet.models import Account, FoldCheckpoint, Hold, JournalEntry, Posting, ReversalRequest
from wallet.trial_balance import trial_balance

PERSON_LINKS.append(lambda person: ("Accounts", list_address(Account, owner=person.pk)))

back_office.ICONS |= {
    "wallet.account": "account_balance_wallet",
    "wallet.journalentry": "receipt_long",
    "wallet.hold": "front_hand",
}
back_office.PAGES.append(
    back_office.Page(
        group="Ledger",
        title="Trial balance",
        icon="balance",
        link="admin:wallet_trial_balance",
        permission="wallet.view_account",
    )
)


class KindFilter(admin.SimpleListFilter):
    """By kind, from the flow table rather than from a scan of the rows."""

    title = "kind"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's form
        """The declared kinds."""
        kinds = flows.entry_kinds() if model_admin.model is JournalEntry else flows.account_kinds()
        return [(kind.code, kind.code.replace("_", " ").capitalize()) for kind in kinds]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 - Django's form
        """Rows of the chosen kind."""
        return queryset.filter(kind=self.value()) if self.value() else queryset


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin):
    """Accounts, with their postings on their pages."""

    list_display = ["name", "owner_link", "asset", "shown_balance", "shown_held", "shown_available", "standing"]
    list_display_links = ["name"]
    list_filter = [KindFilter, "asset", "closed", "frozen", ("owner", admin.EmptyFieldListFilter)]
    list_select_related = ["asset", "owner"]
    search_fields = ["=id", "=owner__phone", "=owner__handle"]
    search_help_text = "An account's id, or its owner's phone number or handle in full"
    ordering = ["-id"]
    fieldsets = [
        (None, {"fields": ["purpose", ("owner_link", "asset"), ("standing", "id")]}),
        (None, {"fields": [("shown_balance", "held_by", "shown_available"), ("created_at", "last_recorded_at")]}),
    ]
    readonly_fields = [
        "id", "purpose", "owner_link", "shown_balance", "held_by", "shown_available", "standing",
    ]  # fmt: skip
    change_form_outer_after_template = "wallet/account_postings.html"

    def get_urls(self) -> list[URLPattern]:
        """With the trial balance."""
        address = path(
            "trial-balance/", self.admin_site.admin_view(self.trial_balance_view), name="wallet_trial_balance"
        )
        return [address, *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Account]:
        """Accounts with their current balance: a folded one's checkpoint plus what was posted since."""
        since = (
            Posting.objects.filter(account_id=OuterRef("pk"), tx__gte=Subquery(FoldCheckpoint.objects.values("tx")[:1]))
            .order_by()
            .values("account_id")
            .annotate(amount=Sum("amount"))
            .values("amount")
        )
        amounts = DecimalField(max_digits=24, decimal_places=4)
        accounts: QuerySet[Account] = super().get_queryset(request)
        return accounts.annotate(
            current=ExpressionWrapper(
                F("balance")
                + Case(
                    When(folded=True, then=Coalesce(Subquery(since), Value(Decimal(0)), output_field=amounts)),
                    default=Value(Decimal(0)),
                    output_field=amounts,
                ),
                output_field=amounts,
            )
        )

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], **options: Any) -> HttpResponse:
        """The account's page with a page of its postings, newest first."""
        account: Account = options["obj"]
        before = request.GET.get("before", "")
        page = journal.postings_of_account(account.pk, before=int(before) if before.isdecimal() else None)
        entries = {posting.entry_id: journal.entry_of(posting) for posting in page.postings}
        kinds = {key: entry.kind if entry else "" for key, entry in entries.items()}
        subjects = subject_links((kinds[posting.entry_id], posting.subject) for posting in page.postings)
        more = posting_links((kinds[posting.entry_id], Place(account.pk, posting.subject)) for posting in page.postings)
        lines = [
            {
                "sequence": posting.sequence,
                "recorded_at": posting.recorded_at,
                "effective_at": posting.effective_at,
                "entry": entry_of_posting(posting),
                "subject": subject,
                "more": told,
                "amount": figure(posting.amount, account.asset.decimals),
                "balance_after": figure(posting.balance_after, account.asset.decimals),
            }
            for posting, subject, told in zip(page.postings, subjects, more, strict=True)
        ]
        context |= {"lines": lines, "next_place": page.next_place, "is_first_page": not before}
        page_shown: HttpResponse = super().render_change_form(request, context, **options)
        return page_shown

    def trial_balance_view(self, request: HttpRequest) -> HttpResponse:
        """Every asset, added up."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        balance = trial_balance()
        assets = [
            {
                "asset": each.asset,
                "credits": figure(each.credits, each.decimals),
                "debits": figure(each.debits, each.decimals),
                "difference": figure(each.difference, each.decimals) if each.difference else "",
                "lines": [
                    {
                        "kind": line.kind,
                        "scope": line.scope,
                        "folded": line.folded,
                        "accounts": line.accounts,
                        "address": page_of("wallet.account", line.only_account)
                        if line.only_account
                        else list_address(Account, kind=line.kind),
                        "description": line.description,
                        "credit": figure(line.balance, line.decimals) if line.balance and not line.is_debit else "",
                        "debit": figure(-line.balance, line.decimals) if line.is_debit else "",
                        "held": figure(line.held, line.decimals) if line.held else "",
                    }
                    for line in each.lines
                ],
            }
            for each in balance.assets
        ]
        context = {
            **self.admin_site.each_context(request),
            "title": "Trial balance",
            "assets": assets,
            "taken_at": balance.taken_at,
            "is_balanced": balance.is_balanced,
        }
        return TemplateResponse(request, "wallet/trial_balance.html", context)

    @display(description="Account", ordering="kind")
    def name(self, account: Account) -> str:
        """Its kind, and the fund it belongs to."""
        return f"{account.kind} {account.scope}" if account.scope else account.kind

    @display(description="Purpose")
    def purpose(self, account: Account) -> str:
        """What accounts of this kind are for, or that nobody has declared it."""
        kind = flows.find_account_kind(account.kind)
        return f"{self.name(account)}: {kind.description if kind else flows.NOT_IN_TABLE}"

    @display(description="Owner", ordering="owner")
    def owner_link(self, account: Account) -> SafeString | str:
        """The person, or the system."""
        return person_link(account.owner)

    @display(description="Balance", ordering="balance")
    def shown_balance(self, account: Account) -> SafeString | str:
        """What the ledger owes the owner, now."""
        return figure(self._balance(account), account.asset.decimals)

    @display(description="Held")
    def shown_held(self, account: Account) -> SafeString | str:
        """What open holds set aside."""
        return EMPTY if account.folded else figure(account.held, account.asset.decimals)

    @display(description="Held")
    def held_by(self, account: Account) -> SafeString | str:
        """What open holds set aside, and the way to them and to those that have ended."""
        if account.folded:
            return EMPTY
        return format_html("{} ({})", self.shown_held(account), link("holds", list_address(Hold, account=account.pk)))

    @display(description="Available")
    def shown_available(self, account: Account) -> SafeString | str:
        """What can be spent; nobody spends from a system account."""
        return EMPTY if account.folded else figure(account.balance - account.held, account.asset.decimals)

    @display(description="State", label={"open": "success", "closed": "danger", "frozen": "danger", "system": "info"})
    def standing(self, account: Account) -> str:
        """Open, closed, frozen, or the system's own."""
        if account.folded:
            return "system"
        if account.frozen:
            return "frozen"
        return "closed" if account.closed else "open"

    def _balance(self, account: Account) -> Decimal:
        current: Decimal = getattr(account, "current", account.balance)
        return current


@admin.register(JournalEntry)
class JournalEntryAdmin(ReadOnlyAdmin):
    """What happened, with all postings of each entry on its page."""

    list_display = ["shown_kind", "effective_at", "recorded_at", "about", "id"]
    list_display_links = ["shown_kind"]
    list_filter = [KindFilter]
    search_fields = ["=id"]
    search_help_text = "An entry's id"
    ordering = ["-id"]
    fieldsets = [
        (None, {"fields": ["what", "rule", ("about", "id")]}),
        (None, {"fields": [("effective_at", "recorded_at"), ("reverses_link", "reversed_by"), "tx"]}),
    ]
    readonly_fields = ["id", "what", "rule", "about", "reverses_link", "reversed_by"]
    change_form_outer_after_template = "wallet/entry_postings.html"

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The list with what its entries are about, looked up for all of them at once."""
        changelist = super().get_changelist_instance(request)
        changelist.result_list = entries = list(changelist.result_list)
        for entry, subject in zip(entries, subject_links((each.kind, each.subject) for each in entries), strict=True):
            vars(entry)["subject_link"] = subject
        return changelist

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], **options: Any) -> HttpResponse:
        """The entry's page with a page of its postings."""
        entry: JournalEntry = options["obj"]
        after = request.GET.get("after", "")
        page = journal.postings_of_entry(entry.pk, after=journal.read_entry_place(after))
        more = posting_links((entry.kind, Place(posting.account_id, posting.subject)) for posting in page.postings)
        lines = [
            {
                "account": account_of_posting(posting),
                "owner": owner_of_posting(posting),
                "asset": code,
                "amount": figure(posting.amount, decimals),
                "balance_after": figure(posting.balance_after, decimals),
                "more": told,
            }
            for posting, told in zip(page.postings, more, strict=True)
            for code, decimals in [asset_of_posting(posting)]
        ]
        context |= {"lines": lines, "next_place": page.next_place, "is_first_page": not after}
        page_shown: HttpResponse = super().render_change_form(request, context, **options)
        return page_shown

    @display(description="Kind", ordering="kind")
    def shown_kind(self, entry: JournalEntry) -> str:
        """In words."""
        return entry.kind.replace("_", " ")

    @display(description="What happened")
    def what(self, entry: JournalEntry) -> str:
        """The kind, and what the flow table says of it."""
        kind = flows.find_entry_kind(entry.kind)
        return f"{self.shown_kind(entry).capitalize()}. {kind.description if kind else flows.NOT_IN_TABLE}"

    @display(description="Rule")
    def rule(self, entry: JournalEntry) -> str:
        """Its kind's row of the flow table, and the page that leads from there to the code and to a test that holds it."""
        kind = flows.find_entry_kind(entry.kind)
        if kind is None:
            return "May move: nothing. No code posts this kind; manage.py verify_ledger names what is wrong."
        worked_out = f"How its amounts are worked out: docs/{kind.arithmetic}. " if kind.arithmetic else ""
        return (
            f"May move: {flows.legs_in_words(kind)}. Who posts it, and a test that holds it: docs/rules.md, entry "
            f"{entry.kind}. {worked_out}(C: cash, S: shares.)"
        )

    @display(description="About")
    def about(self, entry: JournalEntry) -> SafeString | str:
        """The transfer, order or run it happened to."""
        found: SafeString | str | None = vars(entry).get("subject_link")
        return found or subject_links([(entry.kind, entry.subject)])[0]

    @display(description="Reverses")
    def reverses_link(self, entry: JournalEntry) -> SafeString | str:
        """The entry that this one takes back."""
        if entry.reverses_id is None:
            return entry_link(None)
        taken_back = JournalEntry.objects.filter(pk=entry.reverses_id).first()
        if taken_back is None:
            return f"missing entry {entry.reverses_id}"
        title = f"{self.shown_kind(taken_back)} of {timezone.localtime(taken_back.effective_at):%Y-%m-%d %H:%M:%S}"
        return entry_link(taken_back.pk, title)

    @display(description="Reversed by")
    def reversed_by(self, entry: JournalEntry) -> SafeString | str:
        """The entry that takes this one back, the request that asks for it, or where to ask, where the flow table lets one."""
        reversal = JournalEntry.objects.filter(reverses=entry.pk).values_list("pk", flat=True).first()
        kind = flows.find_entry_kind(entry.kind)
        if reversal is not None or kind is None or not kind.reversible:
            return entry_link(reversal)
        open_request = entry.reversal_requests.filter(state=ReversalRequest.State.REQUESTED).first()
        if open_request is not None:
            return link("requested", page_of("wallet.reversalrequest", open_request.pk))
        return link("ask for its reversal", f"{reverse('admin:wallet_reversalrequest_add')}?entry={entry.pk}")


@admin.register(Hold)
class HoldAdmin(ReadOnlyAdmin):
    """Parts of balances that are set aside."""

    list_display = ["id", "account_owner", "state_label", "shown_amount", "shown_remaining", "created_at", "lapses_at"]
    list_filter = ["state"]
    list_select_related = ["account__owner", "account__asset"]
    search_fields = ["=id", "=account__id"]
    search_help_text = "A hold's or an account's id"
    ordering = ["-id"]
    fields = [
        "account_page", "account_owner", "state_label", "shown_amount", "captured", "released", "lapsed",
        "shown_remaining", "purpose", "created_at", "lapses_at", "ended_at",
    ]  # fmt: skip
    readonly_fields = ["account_page", "account_owner", "state_label", "shown_amount", "shown_remaining", "purpose"]

    @display(description="Account")
    def account_page(self, hold: Hold) -> SafeString:
        """The account it is on."""
        return account_link(hold.account)

    @display(description="Owner")
    def account_owner(self, hold: Hold) -> SafeString | str:
        """Whose balance it is part of."""
        return person_link(hold.account.owner)

    @display(description="Held for")
    def purpose(self, hold: Hold) -> SafeString | str:
        """The order it is for, whose page leads to the entries that took what was held."""
        return held_for(hold.subject)

    @display(description="State", ordering="state", label={"Open": "warning", "Captured": "success"})
    def state_label(self, hold: Hold) -> str:
        """Where it is."""
        return hold.get_state_display()

    @display(description="Set aside")
    def shown_amount(self, hold: Hold) -> SafeString | str:
        """At first."""
        return figure(hold.amount, hold.account.asset.decimals, hold.account.asset.code)

    @display(description="Remaining")
    def shown_remaining(self, hold: Hold) -> SafeString | str:
        """Still."""
        return figure(hold.remaining, hold.account.asset.decimals, hold.account.asset.code)
