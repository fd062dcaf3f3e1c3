"""What people ordered of funds, and what was settled with their managers. Read-only."""

from django.contrib import admin
from django.utils.safestring import SafeString
from unfold.decorators import display

from funds import flows
from funds.admin.incomes import income_title
from funds.models import FundOrder, ManagerSettlement
from superapp import back_office
from superapp.admin import EMPTY, PERSON_LINKS, ReadOnlyAdmin
from superapp.figures import figure
from superapp.models import User
from superapp.money import minor_unit_decimals
from wallet.admin.links import (
    HOLD_PAGES,
    SUBJECT_PAGES,
    account_link,
    entry_link,
    link,
    list_address,
    page_of,
    person_link,
)

SUBJECT_PAGES |= {
    kind.code: model
    for model, kinds in {
        "funds.fundorder": (
            flows.SUBSCRIPTION_PLACED,
            flows.SUBSCRIPTION_RETURNED,
            flows.SUBSCRIPTION_CONFIRMED,
            flows.REDEMPTION_PLACED,
            flows.REDEMPTION_LEFT,
            flows.REDEMPTION_PAID,
        ),
        "funds.managersettlement": (flows.MANAGER_SETTLEMENT,),
    }.items()
    for kind in kinds
}


HOLD_PAGES.append("funds.fundorder")

back_office.ICONS |= {
    "funds.fundorder": "shopping_cart",
    "funds.managersettlement": "handshake",
}


def _orders_of(person: User) -> tuple[str, str]:
    return "Fund orders", list_address(FundOrder, owner=person.pk)


PERSON_LINKS.append(_orders_of)


@admin.register(FundOrder)
class FundOrderAdmin(ReadOnlyAdmin):
    """What people ordered, and what became of it."""

    list_display = ["id", "owner_link", "fund", "side", "shown_amount", "state_label", "placed_at", "effective_day"]
    list_filter = ["state", "side", "fund"]
    list_select_related = ["owner", "fund"]
    search_fields = ["=id"]
    search_help_text = "An order's id; for a person's orders go to the person's page"
    ordering = ["-id"]
    fieldsets = [
        (None, {"fields": [("owner_link", "fund_link"), ("side", "shown_amount", "state_label"), "id"]}),
        ("Days", {"fields": [("placed_at", "trade_day"), ("effective_day", "rests_until")]}),
        ("Later income", {"fields": [("followed_link", "run_link"), "later_orders"]}),
        (
            "In the ledger",
            {
                "fields": [
                    ("cash", "shares"), ("placed_entry", "hold_link"), "effective_entry", "ended_entry", "settlement_link",
                ]
            },
        ),
    ]  # fmt: skip
    readonly_fields = [
        "id", "owner_link", "fund_link", "shown_amount", "state_label", "cash", "shares", "placed_entry", "hold_link",
        "effective_entry", "ended_entry", "settlement_link", "followed_link", "run_link", "later_orders",
    ]  # fmt: skip

    @display(description="Person")
    def owner_link(self, order: FundOrder) -> SafeString | str:
        """Whose order it is."""
        return person_link(order.owner)

    @display(description="Fund")
    def fund_link(self, order: FundOrder) -> SafeString:
        """The fund it is for."""
        return link(order.fund, page_of("funds.fund", order.fund_id))

    @display(description="Amount", ordering="amount")
    def shown_amount(self, order: FundOrder) -> SafeString | str:
        """In the fund's currency; a redemption of all has none until its shares leave."""
        if order.amount is None:
            return "all"
        return figure(order.amount, minor_unit_decimals(order.fund.currency), order.fund.currency)

    @display(
        description="State",
        ordering="state",
        label={
            "Placed": "info", "Confirmed": "success", "Shares have left, cash is due": "warning",
            "Paid out": "success", "Rejected": "danger",
        },
    )  # fmt: skip
    def state_label(self, order: FundOrder) -> str:
        """Where it is."""
        return order.get_state_display()

    @display(description="Cash")
    def cash(self, order: FundOrder) -> SafeString:
        """The wallet it is paid from or to."""
        return account_link(order.cash_account)

    @display(description="Shares")
    def shares(self, order: FundOrder) -> SafeString:
        """The holding it fills or takes from."""
        return account_link(order.share_account)

    @display(description="Follows")
    def followed_link(self, order: FundOrder) -> SafeString | str:
        """Of an order that nobody placed: the redemption of all whose later income it pays out."""
        if order.follows is None:
            return EMPTY
        return link(f"redemption of all placed {order.follows.trade_day}", page_of("funds.fundorder", order.follows_id))

    @display(description="Because of")
    def run_link(self, order: FundOrder) -> SafeString | str:
        """Of an order that nobody placed: the run whose income came after the shares had left."""
        return link(income_title(order.run), page_of("superapp.run", order.run_id)) if order.run else EMPTY

    @display(description="Followed by")
    def later_orders(self, order: FundOrder) -> SafeString | str:
        """Of a redemption of all: the orders that pay out what it earned later."""
        if not order.followed_by.exists():
            return EMPTY
        return link("orders that pay out its later income", list_address(FundOrder, follows=order.pk))

    @display(description="Shares held")
    def hold_link(self, order: FundOrder) -> SafeString | str:
        """What set a redemption's shares aside until they left."""
        return link("hold", page_of("wallet.hold", order.hold_id)) if order.hold_id else EMPTY

    @display(description="Cash set aside")
    def placed_entry(self, order: FundOrder) -> SafeString | str:
        """When a subscription was placed."""
        return entry_link(order.placed_entry_id)

    @display(description="Shares moved")
    def effective_entry(self, order: FundOrder) -> SafeString | str:
        """When shares came or left."""
        return entry_link(order.effective_entry_id)

    @display(description="Ended")
    def ended_entry(self, order: FundOrder) -> SafeString | str:
        """When it was paid out or given back."""
        return entry_link(order.ended_entry_id)

    @display(description="Settlement with the manager")
    def settlement_link(self, order: FundOrder) -> SafeString | str:
        """The netted payment that carried its cash."""
        return (
            link("settlement", page_of("funds.managersettlement", order.settlement_id))
            if order.settlement_id
            else EMPTY
        )


@admin.register(ManagerSettlement)
class ManagerSettlementAdmin(ReadOnlyAdmin):
    """Cash between the custody bank and the funds' managers."""

    list_display = ["day", "fund", "shown_amount", "orders", "settled_at"]
    list_filter = ["fund"]
    list_select_related = ["fund"]
    date_hierarchy = "day"
    fields = ["fund", "day", "shown_amount", "orders", "entry", "settled_at"]
    readonly_fields = ["shown_amount", "entry"]

    @display(description="Paid to the manager", ordering="amount")
    def shown_amount(self, settlement: ManagerSettlement) -> SafeString | str:
        """Below zero: received."""
        currency = settlement.fund.currency
        return figure(settlement.amount, minor_unit_decimals(currency), currency)

    @display(description="Entry")
    def entry(self, settlement: ManagerSettlement) -> SafeString | str:
        """The journal entry; none when the orders cancelled each other out."""
        return entry_link(settlement.entry_id)
