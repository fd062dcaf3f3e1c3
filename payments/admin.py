"""The back office's pages for payments: transfers, each linked to its people, accounts and entries. Read-only."""

from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.decorators import display

from payments import flows
from payments.models import Transfer
from superapp import back_office
from superapp.admin import PERSON_LINKS, ReadOnlyAdmin
from superapp.figures import figure
from superapp.models import User
from superapp.money import minor_unit_decimals
from wallet.admin.links import SUBJECT_PAGES, account_link, entry_link, list_address, person_link

SUBJECT_PAGES |= dict.fromkeys(
    [flows.TRANSFER_SENT.code, flows.TRANSFER_SETTLED.code, flows.TRANSFER_RETURNED.code], "payments.transfer"
)


def _transfers_of(person: User) -> tuple[str, str]:
    return "Transfers", list_address(Transfer, party=person.pk)


PERSON_LINKS.append(_transfers_of)

back_office.ICONS |= {"payments.transfer": "send_money"}


class PartyFilter(admin.SimpleListFilter):
    """Transfers that a person sent or received; reached from the person's page."""

    title = "person"
    parameter_name = "party"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's form
        """Only the person who is asked for, by name."""
        return [(str(person.pk), str(person)) for person in User.objects.filter(pk=self._asked())]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Transfer]) -> QuerySet[Transfer]:  # noqa: ARG002
        """Through the person's threads: each has an index of its own for either side."""
        if self.value() is None:
            return queryset
        asked = self._asked()
        return queryset.filter(Q(thread__low=asked) | Q(thread__high=asked))

    def has_output(self) -> bool:
        """Shown whenever someone is asked for, so that the list says what it was narrowed to."""
        return self.parameter_name in self.used_parameters

    def _asked(self) -> UUID:
        """The person's id; of nobody when what stands in the address is no id."""
        try:
            return UUID(self.used_parameters.get(self.parameter_name))
        except (TypeError, ValueError):
            return UUID(int=0)


@admin.register(Transfer)
class TransferAdmin(ReadOnlyAdmin):
    """Money from one person to another."""

    list_display = ["id", "from_whom", "to_whom", "shown_amount", "state_label", "authorised_at", "ended_at"]
    list_filter = ["state", "currency", PartyFilter]
    list_select_related = ["sender", "recipient"]
    search_fields = ["=id"]
    search_help_text = "A transfer's id; for a person's transfers go to the person's page"
    ordering = ["-id"]
    fieldsets = [
        (
            None,
            {"fields": [("from_whom", "to_whom"), ("shown_amount", "state_label"), ("note", "return_reason"), "id"]},
        ),
        ("Times", {"fields": [("authorised_at", "ended_at"), "due_at"]}),
        (
            "In the ledger",
            {"fields": [("from_account", "to_account"), "sent_entry", "settled_entry", "returned_entry"]},
        ),
    ]
    readonly_fields = [
        "id", "from_whom", "to_whom", "shown_amount", "state_label", "from_account", "to_account", "sent_entry",
        "settled_entry", "returned_entry",
    ]  # fmt: skip

    @display(description="From")
    def from_whom(self, transfer: Transfer) -> SafeString | str:
        """Who sent it."""
        return person_link(transfer.sender)

    @display(description="To")
    def to_whom(self, transfer: Transfer) -> SafeString | str:
        """Who is to have it."""
        return person_link(transfer.recipient)

    @display(description="Amount", ordering="amount")
    def shown_amount(self, transfer: Transfer) -> SafeString | str:
        """In its currency."""
        return figure(transfer.amount, minor_unit_decimals(transfer.currency), transfer.currency)

    @display(
        description="State",
        ordering="state",
        label={"Authorised": "info", "Settled": "success", "Returning": "warning", "Returned": "danger"},
    )
    def state_label(self, transfer: Transfer) -> str:
        """Where it is."""
        return transfer.get_state_display()

    @display(description="Sender's account")
    def from_account(self, transfer: Transfer) -> SafeString:
        """Debited when it was sent."""
        return account_link(transfer.sender_account)

    @display(description="Recipient's account")
    def to_account(self, transfer: Transfer) -> SafeString:
        """Credited when it is settled."""
        return account_link(transfer.recipient_account)

    @display(description="Sent")
    def sent_entry(self, transfer: Transfer) -> SafeString | str:
        """Sender to in_transit."""
        return entry_link(transfer.sent_entry_id)

    @display(description="Settled")
    def settled_entry(self, transfer: Transfer) -> SafeString | str:
        """in_transit to the recipient."""
        return entry_link(transfer.settled_entry_id)

    @display(description="Returned")
    def returned_entry(self, transfer: Transfer) -> SafeString | str:
        """in_transit back to the sender."""
        return entry_link(transfer.returned_entry_id)
