"""What payments store beside the ledger: threads between two people, and the transfers in them."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from superapp.ids import uuid7
from wallet.models import Account, amount_field

LANE = models.Func(
    F("recipient_account"),
    template="(get_byte(uuid_send(%(expressions)s), 15) & 15)",
    output_field=models.SmallIntegerField(),
)
"""Which of sixteen lanes a transfer is settled in: by its recipient, so that workers keep apart (`payments.settlement`)."""


class Thread(models.Model):
    """What two people have between them: one for each pair, whoever began it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    low = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False)
    high = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["low", "high"], name="one_thread_a_pair"),
            models.CheckConstraint(condition=Q(low__lt=F("high")), name="a_thread_names_its_pair_in_order"),
        ]
        indexes = [
            models.Index(fields=["low", "id"], name="thread_by_low"),
            models.Index(fields=["high", "id"], name="thread_by_high"),
        ]

    def __str__(self) -> str:
        return f"Thread {self.pk}"


class Transfer(models.Model):
    """Money from one person to another, with its note. Rules: `payments.transfers`, `payments.settlement`.

    References to people and accounts are checked when it is written and by `verify_ledger`, not by a trigger per row:
    neither can be deleted.
    """

    class State(models.TextChoices):
        """AUTHORISED → SETTLED, or AUTHORISED → RETURNING → RETURNED. In transit: AUTHORISED and RETURNING."""

        AUTHORISED = "authorised", "Authorised"
        SETTLED = "settled", "Settled"
        RETURNING = "returning", "Returning"
        RETURNED = "returned", "Returned"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    thread = models.ForeignKey(Thread, on_delete=models.PROTECT, related_name="transfers", db_index=False)
    sender = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    recipient = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    sender_account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    recipient_account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    amount = amount_field()
    currency = models.CharField(max_length=3)
    note = models.CharField(max_length=200, blank=True, help_text="Beside the ledger, never in it; can be erased.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.AUTHORISED)
    return_reason = models.CharField(
        max_length=40, blank=True, help_text="The code of the rule that refused the credit."
    )
    authorised_at = models.DateTimeField()
    due_at = models.DateTimeField(help_text="When the settlement worker may take it.")
    ended_at = models.DateTimeField(null=True, blank=True)
    sent_entry_id = models.UUIDField(help_text="Sender to in_transit.")
    settled_entry_id = models.UUIDField(null=True, blank=True, help_text="in_transit to the recipient.")
    returned_entry_id = models.UUIDField(null=True, blank=True, help_text="in_transit back to the sender.")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="a_transfer_moves_something"),
            models.CheckConstraint(condition=~Q(sender=F("recipient")), name="nobody_pays_themselves"),
            models.CheckConstraint(
                condition=Q(
                    state__in=["authorised", "returning"],
                    settled_entry_id__isnull=True,
                    returned_entry_id__isnull=True,
                    ended_at__isnull=True,
                )
                | Q(
                    state="settled",
                    settled_entry_id__isnull=False,
                    returned_entry_id__isnull=True,
                    ended_at__isnull=False,
                )
                | Q(
                    state="returned",
                    settled_entry_id__isnull=True,
                    returned_entry_id__isnull=False,
                    ended_at__isnull=False,
                ),
                name="a_transfer_ends_once",
            ),
        ]
        indexes = [
            models.Index(fields=["thread", "id"], name="transfer_by_thread"),
            models.Index(LANE, "due_at", "id", condition=Q(state="authorised"), name="transfer_due_in_lane"),
            models.Index(fields=["due_at", "id"], condition=Q(state="returning"), name="transfer_going_back"),
            models.Index(
                fields=["recipient_account"],
                condition=Q(state="authorised"),
                name="transfer_on_its_way",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.state} transfer {self.pk}"
