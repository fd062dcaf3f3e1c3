"""What a fund stores beside the ledger: its terms, its published yields, its days, the orders people placed.

Shares and cash are postings; nothing here is a balance.
"""

from decimal import Decimal
from typing import ClassVar, TypeAlias

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from superapp.ids import uuid7
from superapp.models import Run
from wallet.models import Account, amount_field

OptionalDecimal: TypeAlias = "models.DecimalField[Decimal | None, Decimal | None]"


def optional_amount_field(**options: object) -> OptionalDecimal:
    """A column for an amount that may not be known yet."""
    return amount_field(null=True, **options)  # type: ignore[return-value]


class Fund(models.Model):
    """A money-market fund whose share is always worth 1.0000 of its currency."""

    class State(models.TextChoices):
        """What may be done; `funds.catalogue.ALLOWED` is the table."""

        OPEN = "open", "Open"
        PURCHASES_SUSPENDED = "purchases_suspended", "Purchases suspended"
        REDEMPTIONS_SUSPENDED = "redemptions_suspended", "Redemptions suspended"
        CLOSING = "closing", "Closing: redemptions only"

    class Carry(models.TextChoices):
        """When income becomes shares."""

        DAILY = "daily", "Daily"
        MONTHLY = "monthly", "Monthly"

    class Leftover(models.TextChoices):
        """What becomes of the cents that cutting each holder's income leaves over."""

        HAND_OUT = "hand_out", "Handed out to the largest cut fractions"
        CARRY = "carry", "Carried to the next day"
        LEAVE_IN_FUND = "leave_in_fund", "Left in the fund, for the manager's next figure"

    class YieldBasis(models.TextChoices):
        """Where a day's y comes from."""

        PUBLISHED = "published", "Published by the manager"
        DERIVED = "derived", "Derived from the day's net income"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    code = models.CharField(max_length=20, unique=True, help_text="Upper case letters, digits and dashes.")
    name = models.CharField(max_length=120)
    currency = models.CharField(max_length=3, default="CNY", help_text="ISO 4217.")
    zone = models.CharField(max_length=40, default="Asia/Shanghai", help_text="Its days and cut-offs are read here.")
    carry = models.CharField(max_length=8, choices=Carry.choices, default=Carry.DAILY)
    leftover = models.CharField(max_length=14, choices=Leftover.choices, default=Leftover.HAND_OUT)
    yield_basis = models.CharField(max_length=10, choices=YieldBasis.choices, default=YieldBasis.PUBLISHED)
    minimum = amount_field(default=Decimal("0.01"), help_text="The least that can be subscribed, in the currency.")
    state = models.CharField(max_length=22, choices=State.choices, default=State.OPEN)
    first_day = models.DateField(help_text="The first day for which income is paid.")
    frozen_through = models.DateField(
        null=True, blank=True, editable=False, help_text="The last day whose entitlements are fixed."
    )
    created_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar[list[str]] = ["code"]
        constraints = [
            models.CheckConstraint(condition=Q(code__regex=r"^[A-Z][A-Z0-9-]{1,19}$"), name="fund_code_is_plain"),
            models.CheckConstraint(
                condition=~Q(leftover="carry") | Q(yield_basis="derived"), name="carry_needs_a_derived_yield"
            ),
            models.CheckConstraint(condition=Q(carry="daily"), name="fund_carries_daily"),
            models.CheckConstraint(condition=Q(minimum__gt=0), name="fund_minimum_is_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.name}"


class FundTerms(models.Model):
    """One version of a fund's terms. Never edited: a change is the next version."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    fund = models.ForeignKey(Fund, on_delete=models.PROTECT, related_name="terms")
    version = models.PositiveIntegerField()
    text = models.TextField()
    effective_from = models.DateTimeField()

    class Meta:
        verbose_name_plural = "fund terms"
        ordering: ClassVar[list[str]] = ["fund", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["fund", "version"], name="one_text_a_version"),
            models.CheckConstraint(condition=Q(version__gte=1), name="terms_are_numbered_from_one"),
        ]

    def __str__(self) -> str:
        return f"terms {self.version} of {self.fund.code}"


class TermsAcceptance(models.Model):
    """That a person accepted one version of a fund's terms, and when."""

    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False)
    terms = models.ForeignKey(FundTerms, on_delete=models.PROTECT, related_name="acceptances")
    accepted_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["person", "terms"], name="terms_are_accepted_once")]

    def __str__(self) -> str:
        return f"{self.person_id} accepted {self.terms_id}"


class Yield(models.Model):
    """What a fund earned on one day, as the manager said it. Never edited: a correction is the next revision."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    fund = models.ForeignKey(Fund, on_delete=models.PROTECT, related_name="yields", db_index=False)
    day = models.DateField()
    revision = models.PositiveIntegerField(default=0)
    per_10k: OptionalDecimal = models.DecimalField(
        max_digits=12, decimal_places=4, null=True, blank=True, help_text="y: income of the day per 10,000 shares."
    )
    net_income = optional_amount_field(blank=True, help_text="Of a fund whose y is derived: the day's net income.")
    seven_day_published: OptionalDecimal = models.DecimalField(
        max_digits=9, decimal_places=3, null=True, blank=True, help_text="The manager's own 7-day figure, percent."
    )
    published_at = models.DateTimeField(help_text="When we knew.")

    class Meta:
        ordering: ClassVar[list[str]] = ["fund", "-day", "-revision"]
        constraints = [
            models.UniqueConstraint(fields=["fund", "day", "revision"], name="one_yield_a_revision"),
            models.CheckConstraint(
                condition=Q(per_10k__isnull=False, net_income__isnull=True)
                | Q(per_10k__isnull=True, net_income__isnull=False),
                name="a_yield_is_a_figure_or_an_income",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.day}: {self.per_10k if self.per_10k is not None else self.net_income}"


class FundDay(models.Model):
    """A day of a fund once it is being frozen: from which transaction on nothing counts for it any more."""

    id = models.BigAutoField(primary_key=True)
    fund = models.ForeignKey(Fund, on_delete=models.PROTECT, related_name="days", db_index=False)
    day = models.DateField()
    horizon = models.BigIntegerField(
        null=True, help_text="Postings of this transaction or a later one do not count for the day."
    )
    frozen_at = models.DateTimeField(null=True, help_text="When every transaction below the horizon had ended.")
    per_10k: OptionalDecimal = models.DecimalField(
        max_digits=12, decimal_places=4, null=True, help_text="The y that was paid, by the latest closed run."
    )
    closed_by = models.ForeignKey(
        Run, null=True, on_delete=models.PROTECT, related_name="+", db_index=False, help_text="The latest closed run."
    )

    class Meta:
        ordering: ClassVar[list[str]] = ["fund", "-day"]
        constraints = [
            models.UniqueConstraint(fields=["fund", "day"], name="one_row_a_fund_day"),
            models.CheckConstraint(
                condition=Q(frozen_at__isnull=True) | Q(horizon__isnull=False), name="a_frozen_day_has_its_horizon"
            ),
            models.CheckConstraint(
                condition=Q(closed_by__isnull=True) | Q(frozen_at__isnull=False), name="a_closed_day_is_frozen"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.day}"


class ManagerSettlement(models.Model):
    """Cash that went between the custody bank and the fund's manager for a set of orders, netted."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    fund = models.ForeignKey(Fund, on_delete=models.PROTECT, related_name="settlements")
    day = models.DateField()
    amount = amount_field(help_text="Positive: paid to the manager. Negative: received.")
    orders = models.PositiveIntegerField()
    entry_id = models.UUIDField(null=True, help_text="None when the orders cancelled each other out.")
    settled_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar[list[str]] = ["-settled_at"]

    def __str__(self) -> str:
        return f"{self.day} {self.amount}"


class FundOrder(models.Model):
    """A person's order: cash into shares, or shares into cash. `funds.orders.MOVES` is the table of its states."""

    class Side(models.TextChoices):
        """Which way."""

        SUBSCRIBE = "subscribe", "Subscription"
        REDEEM = "redeem", "Redemption"

    class State(models.TextChoices):
        """Subscription: PLACED → CONFIRMED | CANCELLED | REJECTED. Redemption: PLACED → LEFT → PAID, or CANCELLED."""

        PLACED = "placed", "Placed"
        CONFIRMED = "confirmed", "Confirmed"
        LEFT = "left", "Shares have left, cash is due"
        PAID = "paid", "Paid out"
        CANCELLED = "cancelled", "Cancelled"
        REJECTED = "rejected", "Rejected"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    fund = models.ForeignKey(Fund, on_delete=models.PROTECT, related_name="orders", db_index=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="fund_orders", db_index=False
    )
    side = models.CharField(max_length=10, choices=Side.choices)
    state = models.CharField(max_length=10, choices=State.choices, default=State.PLACED)
    whole = models.BooleanField(default=False, help_text="Redeem all: the balance when the shares leave.")
    amount = optional_amount_field(help_text="Of a redemption of all: known once the shares have left.")
    placed_at = models.DateTimeField()
    trade_day = models.DateField(help_text="T.")
    effective_day = models.DateField(
        help_text="A subscription is confirmed, a redemption's shares leave, at 00:00 of this day."
    )
    cash_account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+", db_index=False)
    share_account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+", db_index=False)
    hold_id = models.UUIDField(null=True, editable=False)
    placed_entry_id = models.UUIDField(null=True, editable=False, help_text="Cash set aside for a subscription.")
    effective_entry_id = models.UUIDField(null=True, editable=False, help_text="Shares came, or left.")
    ended_entry_id = models.UUIDField(null=True, editable=False, help_text="Paid out, or given back.")
    settlement = models.ForeignKey(
        ManagerSettlement, null=True, on_delete=models.PROTECT, related_name="settled_orders", db_index=False
    )
    rests_until = models.DateTimeField(
        null=True, editable=False, help_text="The wallet could not be paid: it is tried again from then on."
    )
    follows = models.ForeignKey(
        "self",
        null=True,
        on_delete=models.PROTECT,
        related_name="followed_by",
        db_index=False,
        help_text="The redemption of all whose later income this pays out.",
    )
    run = models.ForeignKey(
        Run, null=True, on_delete=models.PROTECT, related_name="+", db_index=False, help_text="The run of that income."
    )

    class Meta:
        ordering: ClassVar[list[str]] = ["-placed_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(amount__isnull=True, side="redeem", whole=True, state__in=["placed", "cancelled"])
                | Q(amount__isnull=False, amount__gte=0),
                name="only_a_redemption_of_all_waits_for_its_amount",
            ),
            models.CheckConstraint(condition=Q(trade_day__lt=F("effective_day")), name="an_order_counts_after_its_day"),
            models.CheckConstraint(
                condition=Q(side="subscribe", state__in=["placed", "confirmed", "cancelled", "rejected"])
                | Q(side="redeem", state__in=["placed", "left", "paid", "cancelled"]),
                name="an_order_has_a_state_of_its_side",
            ),
            models.CheckConstraint(
                condition=Q(follows__isnull=True, run__isnull=True) | Q(follows__isnull=False, run__isnull=False),
                name="later_income_names_its_run",
            ),
            models.UniqueConstraint(
                fields=["follows", "run"], condition=Q(follows__isnull=False), name="later_income_leaves_once"
            ),
            models.UniqueConstraint(
                fields=["share_account"],
                condition=Q(side="redeem", whole=True, state="placed"),
                name="one_redemption_of_all_at_a_time",
            ),
        ]
        indexes = [
            models.Index(fields=["fund", "effective_day", "id"], condition=Q(state="placed"), name="fund_order_due"),
            models.Index(
                fields=["fund", "id"],
                condition=Q(settlement__isnull=True, state__in=["confirmed", "left"]),
                name="fund_order_unsettled",
            ),
            models.Index(fields=["fund", "id"], condition=Q(state="left"), name="fund_order_unpaid"),
            models.Index(
                fields=["fund", "effective_day"],
                condition=Q(side="redeem", whole=True, follows__isnull=True),
                name="fund_order_of_all",
            ),
            models.Index(fields=["share_account"], condition=Q(state="placed"), name="fund_order_open_on_shares"),
            models.Index(fields=["cash_account"], condition=Q(state="left"), name="fund_order_due_in_cash"),
            models.Index(fields=["owner", "-id"], name="fund_order_by_owner"),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.amount if self.amount is not None else 'all'} {self.state}"


class IncomeShortfall(models.Model):
    """What a holder's negative income or correction took that they no longer had: owed to the fund, in shares."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    fund = models.ForeignKey(Fund, on_delete=models.PROTECT, related_name="shortfalls")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="+", db_index=False)
    amount = amount_field()
    collected = amount_field(default=0, help_text="What later income has paid of it.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "account"], name="one_shortfall_a_run"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="a_shortfall_is_owed"),
            models.CheckConstraint(
                condition=Q(collected__gte=0, collected__lte=F("amount")), name="no_more_is_collected_than_is_owed"
            ),
        ]
        indexes = [
            models.Index(fields=["fund", "account"], condition=Q(collected__lt=F("amount")), name="shortfall_open")
        ]

    def __str__(self) -> str:
        return f"{self.account_id} owes {self.amount - self.collected}"


class ShortfallCollection(models.Model):
    """That income of one run paid for a shortfall: how much, by which entry."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    shortfall = models.ForeignKey(IncomeShortfall, on_delete=models.PROTECT, related_name="collections", db_index=False)
    run = models.ForeignKey(
        Run, on_delete=models.PROTECT, related_name="+", db_index=False, help_text="The run whose income paid."
    )
    amount = amount_field()
    entry_id = models.UUIDField(editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["shortfall", "run"], name="a_run_collects_once"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="a_collection_is_something"),
        ]

    def __str__(self) -> str:
        return f"{self.amount} collected"
