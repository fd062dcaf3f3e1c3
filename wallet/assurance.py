"""What the ledger stores to watch over itself: seals, verifications, frozen accounts. `wallet.models` brings them in."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q

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


class Seal(models.Model):
    """One block of the chain: what the transactions from `from_tx` to before `to_tx` wrote. Rules: `wallet.sealing`."""

    number = models.BigIntegerField(primary_key=True, help_text="From 1, without a gap.")
    form = models.PositiveSmallIntegerField(help_text="How rows are turned into text; see wallet.sealing.")
    from_tx = models.BigIntegerField()
    to_tx = models.BigIntegerField()
    entries = models.IntegerField()
    postings = models.IntegerField()
    rows = models.BinaryField(help_text="Key and digest of each row, 40 bytes a row, in order.")
    previous = models.BinaryField(help_text="The digest of the seal before; of the first: 32 zero bytes.")
    digest = models.BinaryField(help_text="SHA-256 over the one before, the figures here and the rows.")
    sealed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(from_tx__lt=F("to_tx")), name="a_seal_covers_transactions"),
        ]

    def __str__(self) -> str:
        return f"{self.number}:{bytes(self.digest).hex()}"


class VerificationRun(models.Model):
    """What one verification looked at and found. Written once, when it ends. Rules: `wallet.verification_runs`."""

    class Extent(models.TextChoices):
        """How much it looked at."""

        FULL = "full", "Everything"
        INCREMENTAL = "incremental", "What is new since the last clean one"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    extent = models.CharField(max_length=12, choices=Extent.choices)
    started_at = models.DateTimeField()
    seconds = models.FloatField()
    from_tx = models.BigIntegerField(help_text="Postings of earlier transactions were not looked at one by one.")
    to_tx = models.BigIntegerField(help_text="Postings of later transactions were not looked at.")
    to_seal = models.BigIntegerField(help_text="The last seal that was looked at.")
    checks = models.IntegerField()
    breaks = models.IntegerField(help_text="Rows that break a rule.")
    findings = models.JSONField(help_text="The first of them.")

    class Meta:
        verbose_name = "verification"
        indexes = [models.Index(fields=["-started_at"], condition=Q(breaks=0), name="verification_clean")]

    def __str__(self) -> str:
        return f"{self.extent} verification of {self.started_at:%Y-%m-%d %H:%M}"
