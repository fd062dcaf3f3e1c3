"""What the ledger stores to watch over itself: the freezes of accounts. `wallet.models` brings these models in."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from superapp.ids import uuid7


class AccountFreeze(models.Model):
    """A case: an account that was found wrong loses no money until a person has looked. Rules: `wallet.freezes`."""

    class Reason(models.TextChoices):
        """What kind of fault it was."""

        INVARIANT = "invariant", "Its rows break a rule of the ledger"
        SEAL = "seal", "A sealed row of it is not as it was sealed"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    account = models.ForeignKey("wallet.Account", on_delete=models.PROTECT, related_name="freezes")
    reason = models.CharField(max_length=10, choices=Reason.choices)
    found_by = models.CharField(max_length=250, help_text="The check that found it: its number and its rule.")
    finding = models.TextField(help_text="What was found, one line each.")
    opened_at = models.DateTimeField()
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    lift_reason = models.TextField(blank=True, default="", help_text="Why the account may be used again.")

    class Meta:
        verbose_name = "frozen account"
        constraints = [
            models.UniqueConstraint(
                fields=["account"], condition=Q(lifted_at__isnull=True), name="one_open_case_an_account"
            ),
            models.CheckConstraint(
                condition=Q(lifted_at__isnull=True, lifted_by__isnull=True, lift_reason="")
                | (Q(lifted_at__isnull=False, lifted_by__isnull=False) & ~Q(lift_reason="")),
                name="a_lifted_freeze_says_who_and_why",
            ),
        ]

    def __str__(self) -> str:
        return f"Case {self.pk}"
