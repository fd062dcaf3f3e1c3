"""What the ledger stores: assets, accounts, entries, postings, holds. Only modules of `wallet` write them.

Entries and postings: `wallet.ledger`, `ledger_pairs`, `ledger_sets`, `credit_sets`, `ledger_days`. Besides, `accounts` opens
accounts, `holds` moves what is held, `freezes` freezes, `folding` moves the balances of folded accounts forward.
"""

from decimal import Decimal

from django.conf import settings
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import F, Q

from superapp.ids import uuid7
from wallet import assurance  # noqa: F401  models of this app like those below


def amount_field(**options: object) -> "models.DecimalField[Decimal, Decimal]":
    """A column for amounts: exact, wide enough for any asset's minor unit (at most 4 decimals)."""
    return models.DecimalField(max_digits=24, decimal_places=4, **options)  # type: ignore[arg-type]


class Asset(models.Model):
    """What is counted: an ISO 4217 currency, or the shares of one fund."""

    class Type(models.TextChoices):
        """The two things this ledger counts."""

        CURRENCY = "currency", "Currency"
        FUND_SHARES = "fund_shares", "Fund shares"

    id = models.SmallAutoField(primary_key=True)
    code = models.CharField(max_length=40, unique=True, help_text="CNY, or FUND:<code> for the shares of a fund.")
    type = models.CharField(max_length=12, choices=Type.choices)
    decimals = models.PositiveSmallIntegerField(help_text="Digits of the minor unit.")

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(decimals__lte=4), name="asset_fits_the_amount_column")]

    def __str__(self) -> str:
        return self.code


class Account(models.Model):
    """One owner's, or the system's, position in one asset, of one kind.

    An inline account (what people own) carries its balance under a row lock. A folded account (what the system owns)
    takes no lock and no update per posting: its balance is the checkpoint here plus the postings since.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="accounts"
    )
    kind = models.CharField(max_length=24)
    asset = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="+", db_index=False)
    scope = models.CharField(max_length=40, blank=True, default="", help_text="For system accounts: a fund's code.")
    slot = models.PositiveSmallIntegerField(default=0, help_text="System accounts may be split into slots.")
    folded = models.BooleanField(default=False)
    balance = amount_field(default=0, help_text="Inline: as of the last posting. Folded: as of the checkpoint.")
    held = amount_field(default=0, help_text="Sum of what remains of the open holds.")
    credit_limit = amount_field(default=0, help_text="How far below zero the available balance may fall.")
    last_sequence = models.BigIntegerField(default=0)
    last_recorded_at = models.DateTimeField(null=True, blank=True)
    closed = models.BooleanField(default=False)
    frozen = models.BooleanField(
        default=False, db_default=False, help_text="Money comes in and none goes out, until its case is lifted."
    )
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["asset", "kind", "owner", "scope", "slot"],
                name="one_account_a_kind_and_asset",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=Q(folded=True) | Q(balance__gte=F("held") - F("credit_limit")),
                name="available_covers_what_is_spent",
            ),
            models.CheckConstraint(condition=Q(held__gte=0), name="held_is_not_negative"),
            models.CheckConstraint(
                condition=Q(folded=True, owner__isnull=True) | Q(folded=False), name="folded_accounts_are_the_systems"
            ),
        ]
        indexes = [models.Index(fields=["asset", "kind", "id"], name="account_by_asset_and_kind")]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class JournalEntry(models.Model):
    """One thing that happened; its postings sum to zero per asset. Written once, never changed."""

    id = models.UUIDField(primary_key=True, editable=False)
    kind = models.CharField(max_length=32, help_text="A row of the flow table.")
    subject = models.UUIDField(help_text="The transfer, order, run … it happened to.")
    effective_at = models.DateTimeField(help_text="When it counts.")
    recorded_at = models.DateTimeField(help_text="When we knew.")
    tx = models.BigIntegerField(help_text="The writing transaction.")
    reverses = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.DO_NOTHING,
        related_name="reversals",
        db_constraint=False,
        db_index=False,
    )

    class Meta:
        verbose_name_plural = "journal entries"
        indexes = [BrinIndex(fields=["tx"], name="entry_tx_brin", pages_per_range=32, autosummarize=True)]
        constraints = [
            models.CheckConstraint(condition=Q(effective_at__lte=F("recorded_at")), name="nothing_counts_before_known"),
            models.UniqueConstraint(
                fields=["reverses"], condition=Q(reverses__isnull=False), name="an_entry_is_reversed_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind.replace('_', ' ')} {self.pk}"


class Posting(models.Model):
    """A signed amount on one account: positive raises what is owed to its owner. Written once, never changed."""

    pk = models.CompositePrimaryKey("account_id", "sequence")
    account = models.ForeignKey(
        Account, on_delete=models.DO_NOTHING, related_name="postings", db_constraint=False, db_index=False
    )
    sequence = models.BigIntegerField(help_text="Inline: gapless from 1. Folded: unique, not ordered.")
    entry = models.ForeignKey(
        JournalEntry, on_delete=models.DO_NOTHING, related_name="postings", db_constraint=False, db_index=False
    )
    asset = models.ForeignKey(Asset, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False)
    amount = amount_field()
    balance_after = amount_field(null=True, help_text="Of an inline account; a folded one has none.")
    subject = models.UUIDField()
    effective_at = models.DateTimeField()
    recorded_at = models.DateTimeField()
    tx = models.BigIntegerField()

    class Meta:
        constraints = [models.CheckConstraint(condition=~Q(amount=0), name="a_posting_moves_something")]
        indexes = [
            BrinIndex(fields=["entry"], name="posting_entry_brin", pages_per_range=16),
            BrinIndex(fields=["tx", "recorded_at"], name="posting_time_brin", pages_per_range=32, autosummarize=True),
        ]

    def __str__(self) -> str:
        return f"{self.account_id}#{self.sequence} {self.amount}"


class FoldCheckpoint(models.Model):
    """How far the folded accounts' balances have been folded: every posting whose transaction is below `tx`."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    tx = models.BigIntegerField()
    folded_at = models.DateTimeField()
    known_until = models.DateTimeField(
        null=True, blank=True, help_text="Whatever was recorded up to here is committed, or never will be."
    )
    awaited_tx = models.BigIntegerField(
        null=True, blank=True, help_text="Once every transaction below has ended, all is known until `awaited_at`."
    )
    awaited_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="fold_checkpoint_is_one")]

    def __str__(self) -> str:
        return str(self.tx)


class Hold(models.Model):
    """Part of a balance set aside: captured + released + lapsed + remaining = amount. Rules: `wallet.holds`."""

    class State(models.TextChoices):
        """OPEN → CAPTURED | RELEASED | LAPSED; the last three name what ended it."""

        OPEN = "open", "Open"
        CAPTURED = "captured", "Captured"
        RELEASED = "released", "Released"
        LAPSED = "lapsed", "Lapsed"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="holds")
    subject = models.UUIDField(help_text="The order it is for.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    amount = amount_field()
    captured = amount_field(default=0)
    released = amount_field(default=0)
    lapsed = amount_field(default=0)
    remaining = amount_field()
    lapses_at = models.DateTimeField(null=True, blank=True, help_text="From then on nothing can be captured.")
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True, help_text="Of an ended hold; not kept for the oldest ones.")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(amount=F("captured") + F("released") + F("lapsed") + F("remaining")), name="hold_adds_up"
            ),
            models.CheckConstraint(
                condition=Q(captured__gte=0, released__gte=0, lapsed__gte=0, remaining__gte=0, amount__gt=0),
                name="hold_parts_are_not_negative",
            ),
            models.CheckConstraint(condition=Q(state="open") | Q(remaining=0), name="an_ended_hold_holds_nothing"),
            models.CheckConstraint(
                condition=~Q(state="open") | Q(remaining__gt=0, ended_at__isnull=True),
                name="an_open_hold_holds_something",
            ),
            models.CheckConstraint(
                condition=Q(lapsed=0) | Q(state="lapsed", lapses_at__isnull=False),
                name="only_a_hold_with_a_term_lapses",
            ),
        ]
        indexes = [
            models.Index(
                fields=["lapses_at", "id"], condition=Q(state="open", lapses_at__isnull=False), name="hold_by_term"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.state} hold of {self.remaining} on {self.account_id}"


class Usage(models.Model):
    """What an account has moved in one class on one business day; written with its postings. Rules: `wallet.usage`."""

    pk = models.CompositePrimaryKey("account_id", "usage_class", "day")
    account = models.ForeignKey(
        Account, on_delete=models.DO_NOTHING, related_name="usage", db_constraint=False, db_index=False
    )
    usage_class = models.CharField(max_length=24, help_text="What is counted, as the flow table names it.")
    day = models.DateField(help_text="The business day on which it was counted.")
    amount = amount_field(help_text="In the account's asset, less what was given back.")
    count = models.IntegerField(help_text="How many movements, less those given back.")

    class Meta:
        verbose_name_plural = "usage"
        constraints = [
            models.CheckConstraint(condition=Q(amount__gte=0, count__gte=0), name="no_more_is_given_back_than_was_used")
        ]

    def __str__(self) -> str:
        return f"{self.usage_class} of {self.account_id} on {self.day}: {self.amount}"


class Capacity(models.Model):
    """One slot of what must never be exceeded by many at once. Rules: `wallet.capacity`."""

    kind = models.CharField(max_length=32, help_text="A declared kind of capacity.")
    scope = models.CharField(max_length=64, blank=True, default="", help_text="Whose it is: a fund's code, a bank's.")
    day = models.DateField(null=True, blank=True, help_text="The business day it is for; none: for good.")
    slot = models.PositiveSmallIntegerField()
    total = amount_field(help_text="What the policy allows over all slots.")
    ceiling = amount_field(help_text="This slot's part of it.")
    used = amount_field(default=0)
    ruled_at = models.DateTimeField(help_text="The instant as of which the policy was asked for the total.")

    class Meta:
        verbose_name_plural = "capacity"
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "scope", "day", "slot"], name="one_row_a_slot_of_capacity", nulls_distinct=False
            ),
            models.CheckConstraint(
                condition=Q(used__gte=0, used__lte=F("ceiling")), name="used_stays_under_the_ceiling"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.scope} {self.day or ''} #{self.slot}: {self.used} of {self.ceiling}"


class ReversalRequest(models.Model):
    """One person's wish to take an entry back, which another decides. Rules: `wallet.reversals`."""

    class State(models.TextChoices):
        """REQUESTED → APPROVED | DECLINED."""

        REQUESTED = "requested", "Requested"
        APPROVED = "approved", "Approved"
        DECLINED = "declined", "Declined"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    entry = models.ForeignKey(JournalEntry, on_delete=models.PROTECT, related_name="reversal_requests")
    reason = models.CharField(max_length=500, help_text="Why the entry is wrong.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.REQUESTED)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    requested_at = models.DateTimeField()
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    reversal_id = models.UUIDField(null=True, blank=True, help_text="The journal entry that took it back.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["entry"],
                condition=Q(state__in=["requested", "approved"]),
                name="one_standing_reversal_request_an_entry",
            ),
            models.CheckConstraint(
                condition=~Q(state="approved") | ~Q(decided_by=F("requested_by")), name="another_person_approves"
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="a_reversal_request_says_why"),
            models.CheckConstraint(
                condition=Q(
                    state="requested", decided_by__isnull=True, decided_at__isnull=True, reversal_id__isnull=True
                )
                | Q(state="approved", decided_by__isnull=False, decided_at__isnull=False, reversal_id__isnull=False)
                | Q(state="declined", decided_by__isnull=False, decided_at__isnull=False, reversal_id__isnull=True),
                name="a_decided_reversal_request_says_by_whom",
            ),
        ]
        permissions = [
            ("approve_reversal", "Can approve or decline another person's reversal request"),
        ]

    def __str__(self) -> str:
        return f"{self.state} reversal of {self.entry_id}"


class PaymentPin(models.Model):
    """A person's payment PIN, as a keyed hash, with the tries since it was last right. Rules: `wallet.pins`."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, primary_key=True, on_delete=models.PROTECT, related_name="payment_pin"
    )
    hash = models.CharField(max_length=200, help_text="argon2id over an HMAC whose key is kept outside the database.")
    tries = models.PositiveSmallIntegerField(default=0, help_text="Counted and committed before each look.")
    locked_until = models.DateTimeField(null=True, blank=True, help_text="No look is taken before this instant.")
    changed_at = models.DateTimeField()
    small_amount = amount_field(default=0, db_default=0, help_text="Up to this much passes without PIN; 0: nothing.")
    small_currency = models.CharField(max_length=3, blank=True, default="", db_default="")
    small_day = models.DateField(null=True, blank=True, help_text="The business day that `small_spent` is of.")
    small_spent = amount_field(default=0, db_default=0, help_text="What has left without PIN on that day.")

    class Meta:
        verbose_name = "payment PIN"

    def __str__(self) -> str:
        return f"PIN of {self.user_id}"


class TopUp(models.Model):
    """Money on its way in: asked of a person's bank, and counted only once the bank says so. Rules: `wallet.top_ups`."""

    class State(models.TextChoices):
        """REQUESTED → INSTRUCTED → CONFIRMED | FAILED; the bank's answer may overtake the INSTRUCTED step."""

        REQUESTED = "requested", "Requested"
        INSTRUCTED = "instructed", "Instructed"
        CONFIRMED = "confirmed", "Confirmed"
        FAILED = "failed", "Failed"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="top_ups", db_index=False
    )
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+", db_index=False)
    amount = amount_field()
    currency = models.CharField(max_length=3)
    rail = models.CharField(max_length=20, help_text="Which bank connection carries it.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.REQUESTED)
    failure = models.CharField(max_length=40, blank=True, help_text="Why the bank declined, as a code.")
    entry_id = models.UUIDField(null=True, blank=True, help_text="The journal entry that credited the wallet.")
    requested_at = models.DateTimeField()
    instructed_at = models.DateTimeField(null=True, blank=True)
    inquired_at = models.DateTimeField(null=True, blank=True, help_text="When the bank was last asked for its state.")
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "top-up"
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="a_top_up_brings_something"),
            models.CheckConstraint(
                condition=Q(state="confirmed", entry_id__isnull=False)
                | (~Q(state="confirmed") & Q(entry_id__isnull=True)),
                name="only_a_confirmed_top_up_has_an_entry",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["confirmed", "failed"], ended_at__isnull=False)
                | Q(state__in=["requested", "instructed"], ended_at__isnull=True),
                name="an_ended_top_up_says_when",
            ),
        ]
        indexes = [
            models.Index(fields=["owner", "id"], name="top_up_by_owner"),
            models.Index(fields=["id"], condition=Q(state="instructed"), name="top_up_unanswered"),
        ]

    def __str__(self) -> str:
        return f"{self.state} top-up {self.pk}"


class BankCallback(models.Model):
    """One message from a bank, kept as it came and acted on at most once. Rules: `wallet.bank_callbacks`."""

    class Status(models.TextChoices):
        """What the bank says became of our instruction."""

        CONFIRMED = "confirmed", "Confirmed"
        DECLINED = "declined", "Declined"

    class Outcome(models.TextChoices):
        """What the message did here."""

        APPLIED = "applied", "Applied"
        REPEATED = "repeated", "Said again what was known"
        UNKNOWN = "unknown", "Names nothing of ours"
        MISMATCH = "mismatch", "Names another amount or currency"
        CONFLICT = "conflict", "Contradicts a final state"
        REFUSED = "refused", "The ledger refused it"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    rail = models.CharField(max_length=20)
    reference = models.CharField(max_length=80, help_text="The bank's own, unique reference of this message.")
    instruction = models.CharField(max_length=80, help_text="Our reference, as the bank repeats it.")
    status = models.CharField(max_length=10, choices=Status.choices)
    amount = amount_field()
    currency = models.CharField(max_length=3)
    reason = models.CharField(max_length=40, blank=True, help_text="The bank's code for a decline.")
    outcome = models.CharField(max_length=10, choices=Outcome.choices)
    top_up = models.ForeignKey(TopUp, null=True, blank=True, on_delete=models.PROTECT, related_name="callbacks")
    received_at = models.DateTimeField()

    class Meta:
        verbose_name = "bank message"
        constraints = [models.UniqueConstraint(fields=["rail", "reference"], name="one_message_a_bank_reference")]

    def __str__(self) -> str:
        return f"{self.rail} {self.reference}: {self.status}"


class SandboxBankOrder(models.Model):
    """The sandbox bank's own book: what it was asked to collect, and what it decided. Empty in production."""

    reference = models.CharField(primary_key=True, max_length=80, help_text="Our reference of the instruction.")
    amount = amount_field()
    currency = models.CharField(max_length=3)
    status = models.CharField(max_length=10, help_text="What a status inquiry answers: confirmed, declined or pending.")
    reason = models.CharField(max_length=40, blank=True)
    received_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.reference}: {self.status}"
