"""The page of reversal requests: one operator asks for an entry to be taken back, another approves or declines."""

from contextlib import suppress
from typing import Any
from uuid import UUID

# ruff: noqa: ARG002 - the signatures are Django's
from django import forms
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from superapp import back_office
from superapp.admin import EMPTY, ReadOnlyAdmin
from superapp.errors import DomainError
from superapp.figures import figure
from superapp.models import User
from wallet import journal, reversals
from wallet.admin.links import account_of_posting, asset_of_posting, entry_link, owner_of_posting
from wallet.errors import InsufficientFunds
from wallet.models import JournalEntry, ReversalRequest

back_office.ICONS |= {"wallet.reversalrequest": "undo"}

APPROVE, DECLINE = "approve", "decline"

SPENT = (
    "{asked} {asset} would be taken back, and only {available} {asset} is available on the account: the rest is spent or held. "
    "Decline, or approve once enough is there again."
)
"""What the ledger's words, which speak to an owner, are for who decides."""

MOST_SHOWN = 10
"""Postings of an entry that a request shows; the entry's own page has them all."""


def _in_words(entry: JournalEntry) -> SafeString:
    """What an entry did: its kind, its time, and each of its postings as account, person and amount."""
    page = journal.postings_of_entry(entry.pk, limit=MOST_SHOWN)
    moved = format_html_join(
        "",
        "<br>{} ({}) {}",
        (
            (
                account_of_posting(posting),
                owner_of_posting(posting),
                figure(posting.amount, decimals, code),
            )
            for posting in page.postings
            for code, decimals in [asset_of_posting(posting)]
        ),
    )
    title = f"{entry.kind.replace('_', ' ')} of {timezone.localtime(entry.effective_at):%Y-%m-%d %H:%M:%S}"
    return format_html("{}{}{}", entry_link(entry.pk, title), moved, " …" if page.next_place else "")


class _DecidedForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form whose rules are `wallet.reversals`' own, carried out inside the transaction of the request: only so is each
    reason for a refusal known, and shown beside the field.
    """

    by: User
    done: ReversalRequest

    def clean(self) -> dict[str, Any]:
        """Does what the form asks for."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                self.done = self.act(cleaned)
            except InsufficientFunds as refusal:
                raise forms.ValidationError(SPENT.format(**vars(refusal))) from refusal
            except DomainError as refusal:
                raise forms.ValidationError(refusal.message) from refusal
        return cleaned

    def act(self, cleaned: dict[str, Any]) -> ReversalRequest:
        """Calls the one function this form is for."""
        raise NotImplementedError

    def _post_clean(self) -> None:
        """The row is there already, as it must be."""


class AskForm(_DecidedForm):
    """Which entry, and why."""

    entry = forms.UUIDField(label="Entry to take back", widget=UnfoldAdminTextInputWidget)
    reason = forms.CharField(
        label="It is wrong, because",
        max_length=reversals.REASON_LENGTH,
        help_text="Another operator reads this and decides; nothing moves before.",
        widget=UnfoldAdminTextareaWidget,
    )

    class Meta:
        model = ReversalRequest
        fields = ["entry", "reason"]

    def __init__(self, *args: Any, **options: Any) -> None:
        """With what the entry did, where the page was opened from an entry."""
        super().__init__(*args, **options)
        # An entry that was made up in the address is passed over here: the form says so once it is sent.
        with suppress(ValueError, JournalEntry.DoesNotExist):
            entry = JournalEntry.objects.get(pk=UUID(str(self.initial.get("entry"))))
            self.fields["entry"].help_text = _in_words(entry)

    def act(self, cleaned: dict[str, Any]) -> ReversalRequest:
        """Asks."""
        return reversals.request(entry_id=cleaned["entry"], reason=cleaned["reason"], by=self.by)


class DecideForm(_DecidedForm):
    """Yes or no."""

    decision = forms.ChoiceField(
        choices=[("", "-"), (APPROVE, "Approve: take the entry back now"), (DECLINE, "Decline")],
        help_text="Who asked may decline, not approve.",
        widget=UnfoldAdminSelectWidget,
    )

    class Meta:
        model = ReversalRequest
        fields: list[str] = []

    def act(self, cleaned: dict[str, Any]) -> ReversalRequest:
        """Decides."""
        decide = reversals.approve if cleaned["decision"] == APPROVE else reversals.decline
        return decide(request_id=self.instance.pk, by=self.by)


@admin.register(ReversalRequest)
class ReversalRequestAdmin(ReadOnlyAdmin):
    """Requests, the newest first. One is added and decided; what was asked and decided is never edited."""

    list_display = ["requested_at", "state_label", "entry_page", "requested_by", "decided_by", "reason"]
    list_filter = ["state"]
    list_select_related = ["requested_by", "decided_by"]
    search_fields = ["=id", "=entry__id"]
    search_help_text = "A request's or an entry's id"
    ordering = ["-id"]
    asked = ["state_label", "entry_moved", "reason", "requested_by", "requested_at", "id"]
    decided = ["decided_by", "decided_at", "reversal_page"]

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whoever may add requests."""
        return bool(ModelAdmin.has_add_permission(self, request))

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """An open request is decided by whoever may approve reversals."""
        return (
            isinstance(obj, ReversalRequest)
            and obj.state == ReversalRequest.State.REQUESTED
            and request.user.has_perm("wallet.approve_reversal")
        )

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        """Asking or deciding, in the name of who is signed in."""
        kind = AskForm if obj is None else DecideForm if self.has_change_permission(request, obj) else forms.ModelForm
        form = super().get_form(request, obj, change, **options, form=kind)
        form.by = request.user
        return form

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """What is asked, what was asked, and what became of it."""
        if obj is None:
            return ["entry", "reason"]
        return [*self.asked, "decision"] if self.has_change_permission(request, obj) else [*self.asked, *self.decided]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """All but what the two forms ask for."""
        return [] if obj is None else [name for name in self.get_fields(request, obj) if name != "decision"]

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> ReversalRequest:
        """The row as the form's act has left it."""
        done: ReversalRequest = form.done
        return done

    def save_model(self, request: HttpRequest, obj: ReversalRequest, form: Any, change: bool) -> None:
        """Nothing more: `wallet.reversals` has stored it."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """A request has nothing related."""

    @display(
        description="State",
        ordering="state",
        label={"Requested": "warning", "Approved": "success", "Declined": "info"},
    )
    def state_label(self, asked: ReversalRequest) -> str:
        """Where it is."""
        return asked.get_state_display()

    @display(description="Entry")
    def entry_page(self, asked: ReversalRequest) -> SafeString | str:
        """What is to be taken back."""
        return entry_link(asked.entry_id)

    @display(description="Entry")
    def entry_moved(self, asked: ReversalRequest) -> SafeString:
        """What is to be taken back, so that who decides sees whose money it is."""
        return _in_words(asked.entry)

    @display(description="Taken back by")
    def reversal_page(self, asked: ReversalRequest) -> SafeString | str:
        """The reversing entry."""
        return entry_link(asked.reversal_id) if asked.reversal_id else EMPTY
