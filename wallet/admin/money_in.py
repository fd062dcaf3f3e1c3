"""Money on its way in, what banks said of it, and the state of payment PINs. Nobody changes anything here."""

from django.contrib import admin
from django.utils.safestring import SafeString
from unfold.decorators import display

from superapp import back_office
from superapp.admin import EMPTY, PERSON_LINKS, ReadOnlyAdmin, ReadOnlyInline
from superapp.errors import InvalidAmount
from superapp.figures import figure
from superapp.money import minor_unit_decimals
from wallet.admin.links import entry_link, link, list_address, page_of, person_link
from wallet.models import BankCallback, JournalEntry, PaymentPin, TopUp

PERSON_LINKS.append(lambda person: ("Top-ups", list_address(TopUp, owner=person.pk)))
PERSON_LINKS.append(lambda person: ("Payment PIN", list_address(PaymentPin, user=person.pk)))

back_office.ICONS |= {
    "wallet.topup": "add_card",
    "wallet.bankcallback": "mark_email_read",
    "wallet.paymentpin": "password",
}


def _as_said(message: BankCallback) -> SafeString | str:
    """The amount of a bank's message; one that does not fit its currency, or in none of ours, with all its digits."""
    try:
        return figure(message.amount, minor_unit_decimals(message.currency), message.currency)
    except InvalidAmount:
        return figure(message.amount, 4, message.currency)


class BankMessages(ReadOnlyInline):
    """What the bank said of a top-up, as it came."""

    model = BankCallback
    verbose_name_plural = "What the bank said"
    ordering = ["received_at"]
    fields = ["reference", "status", "shown_amount", "reason", "outcome", "received_at"]
    readonly_fields = fields

    @display(description="Amount")
    def shown_amount(self, message: BankCallback) -> SafeString | str:
        """As the bank has it."""
        return _as_said(message)


@admin.register(TopUp)
class TopUpAdmin(ReadOnlyAdmin):
    """Money on its way in."""

    list_display = ["id", "owner_link", "shown_amount", "state_label", "rail", "requested_at", "ended_at", "failure"]
    list_filter = ["state", "rail", "currency"]
    list_select_related = ["owner"]
    search_fields = ["=id", "=owner__phone", "=owner__handle"]
    search_help_text = "A top-up's id, or its owner's phone number or handle in full"
    ordering = ["-id"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("owner_link", "shown_amount"),
                    ("state_label", "failure"),
                    ("rail", "id"),
                    ("entry", "taken_back"),
                ]
            },
        ),
        ("Times", {"fields": [("requested_at", "instructed_at"), ("inquired_at", "ended_at")]}),
    ]
    readonly_fields = ["id", "owner_link", "shown_amount", "state_label", "entry", "taken_back"]
    inlines = [BankMessages]

    @display(description="Person")
    def owner_link(self, row: TopUp) -> SafeString | str:
        """Whose wallet it is for."""
        return person_link(row.owner)

    @display(description="Amount", ordering="amount")
    def shown_amount(self, row: TopUp) -> SafeString | str:
        """What the bank was asked for."""
        return figure(row.amount, minor_unit_decimals(row.currency), row.currency)

    @display(
        description="State",
        ordering="state",
        label={"Requested": "info", "Instructed": "warning", "Confirmed": "success", "Failed": "danger"},
    )
    def state_label(self, row: TopUp) -> str:
        """Where it is."""
        return row.get_state_display()

    @display(description="Entry")
    def entry(self, row: TopUp) -> SafeString | str:
        """The journal entry that credited the wallet."""
        return entry_link(row.entry_id)

    @display(description="Taken back by")
    def taken_back(self, row: TopUp) -> SafeString | str:
        """The entry that reversed the credit: the top-up stays confirmed, for the bank did bring the money."""
        reversal = JournalEntry.objects.filter(reverses=row.entry_id).first() if row.entry_id else None
        return entry_link(reversal.pk if reversal else None)


@admin.register(BankCallback)
class BankMessageAdmin(ReadOnlyAdmin):
    """The banks' messages. Those that did nothing here are the ones to look at."""

    list_display = ["reference", "rail", "status", "shown_amount", "outcome_label", "top_up_link", "received_at"]
    list_filter = ["outcome", "status", "rail"]
    list_select_related = ["top_up"]
    search_fields = ["=reference", "=instruction"]
    search_help_text = "The bank's reference, or ours"
    ordering = ["-id"]
    fields = [
        "rail", "reference", "instruction", "status", "shown_amount", "reason", "outcome_label", "top_up_link",
        "received_at",
    ]  # fmt: skip
    readonly_fields = ["shown_amount", "outcome_label", "top_up_link"]

    @display(description="Amount", ordering="amount")
    def shown_amount(self, message: BankCallback) -> SafeString | str:
        """As the bank has it."""
        return _as_said(message)

    @display(
        description="What it did",
        ordering="outcome",
        label={"Applied": "success", "Said again what was known": "info", "Names nothing of ours": "warning",
               "Names another amount or currency": "danger", "Contradicts a final state": "danger",
               "The ledger refused it": "danger"},
    )  # fmt: skip
    def outcome_label(self, message: BankCallback) -> str:
        """What the message did here."""
        return message.get_outcome_display()

    @display(description="Top-up")
    def top_up_link(self, message: BankCallback) -> SafeString | str:
        """The top-up it is about."""
        return link("top-up", page_of("wallet.topup", message.top_up_id)) if message.top_up_id else EMPTY


@admin.register(PaymentPin)
class PaymentPinAdmin(ReadOnlyAdmin):
    """Whether people have a payment PIN and whether it is locked. The hash is shown to nobody."""

    list_display = ["owner_link", "tries", "locked_until", "changed_at"]
    list_display_links = None
    list_filter = [("locked_until", admin.EmptyFieldListFilter)]
    list_select_related = ["user"]
    fields = ["owner_link", "tries", "locked_until", "changed_at"]
    readonly_fields = ["owner_link"]
    ordering = ["-changed_at"]

    @display(description="Person")
    def owner_link(self, pin: PaymentPin) -> SafeString | str:
        """Whose PIN it is."""
        return person_link(pin.user)
