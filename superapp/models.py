"""What every app shares: people, the sandbox clock, calendars, policy, idempotency keys, the outbox and runs."""

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from superapp.ids import uuid7


class CurrentTransaction(models.Func):
    """The 64-bit number of the transaction that is writing (`xid8`), as a bigint that SQL and Python can order by."""

    function = "pg_current_xact_id"
    template = "(%(function)s()::text::bigint)"
    arity = 0
    output_field = models.BigIntegerField()


class PeopleManager(BaseUserManager["User"]):
    """Makes people and operators."""

    def create_user(
        self, *, phone: str | None = None, email: str | None = None, password: str | None = None, **fields: Any
    ) -> "User":
        """A person, known by a phone (E.164), an e-mail address, or both. Raises ValueError when neither is given."""
        if not phone and not email:
            raise ValueError("A person needs a phone number or an e-mail address.")
        user = self.model(phone=phone or None, email=self.normalize_email(email) if email else None, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, *, email: str, password: str | None = None, **fields: Any) -> "User":
        """An operator who may do everything the back office offers."""
        return self.create_user(email=email, password=password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        """By e-mail address, without regard to case."""
        return self.get(email__iexact=username)


class User(AbstractBaseUser, PermissionsMixin):
    """A person: someone who holds money, or an operator of the back office."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    phone = models.CharField(
        max_length=16,
        unique=True,
        null=True,
        blank=True,
        help_text="E.164, with its plus sign; only ever a number whose owner has entered the code sent to it.",
    )
    pending_phone = models.CharField(
        max_length=16,
        blank=True,
        default="",
        help_text="The number given at sign-up while its code is awaited. It identifies nobody and reserves nothing.",
    )
    email = models.EmailField(unique=True, null=True, blank=True)
    display_name = models.CharField(max_length=60, blank=True, help_text="What others see.")
    handle = models.CharField(
        max_length=30, unique=True, null=True, blank=True, help_text="A unique name others can pay to; lower case."
    )
    findable_by_phone = models.BooleanField(default=True, help_text="Whether payers may find this person by phone.")
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField("operator", default=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[PeopleManager] = PeopleManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name = "person"
        verbose_name_plural = "people"
        constraints = [
            models.CheckConstraint(
                condition=Q(phone__isnull=True) | Q(phone__regex=r"^\+[1-9][0-9]{6,14}$"), name="person_phone_is_e164"
            ),
            models.CheckConstraint(
                condition=Q(handle__isnull=True) | Q(handle__regex=r"^[a-z][a-z0-9_.]{2,29}$"),
                name="person_handle_is_plain",
            ),
            models.CheckConstraint(
                condition=Q(phone__isnull=False) | Q(email__isnull=False) | ~Q(pending_phone=""),
                name="person_can_be_reached",
            ),
        ]

    def __str__(self) -> str:
        return self.display_name or self.handle or self.phone or self.email or str(self.pk)


class Installation(models.Model):
    """The one row that says what this database is: born as a sandbox or for production, and never the other."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    mode = models.CharField(max_length=10, choices=[("sandbox", "Sandbox"), ("production", "Production")])
    clock_offset = models.DurationField(
        default=None, null=True, blank=True, help_text="Sandbox only: how far the business clock is from real time."
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(id=1), name="installation_is_one"),
            models.CheckConstraint(
                condition=Q(mode="sandbox") | Q(clock_offset__isnull=True), name="only_a_sandbox_travels"
            ),
        ]

    def __str__(self) -> str:
        return self.mode


class CalendarDay(models.Model):
    """An operator's exception to a calendar: a day that is open or closed whatever the calendar says."""

    class Calendar(models.TextChoices):
        """The calendars the business runs by."""

        BANK = "bank", "Bank days"
        EXCHANGE = "exchange", "Exchange trading days"

    calendar = models.CharField(max_length=10, choices=Calendar.choices)
    day = models.DateField()
    is_open = models.BooleanField()
    reason = models.CharField(max_length=200)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name = "calendar exception"
        ordering = ["-day"]
        constraints = [models.UniqueConstraint(fields=["calendar", "day"], name="one_exception_a_calendar_day")]

    def __str__(self) -> str:
        return f"{self.calendar} {self.day} {'open' if self.is_open else 'closed'}"


class PolicyVersion(models.Model):
    """A dated value of one policy for one scope; it rules from `effective_from` until the next version does."""

    policy = models.CharField(max_length=60)
    scope = models.CharField(max_length=60, blank=True, default="", help_text="A fund's code; empty: everywhere.")
    effective_from = models.DateTimeField()
    value = models.JSONField(help_text="Validated by the policy's type.")
    reason = models.CharField(max_length=200, blank=True)
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["policy", "scope", "-effective_from"]
        constraints = [
            models.UniqueConstraint(fields=["policy", "scope", "effective_from"], name="one_policy_version_an_instant")
        ]

    def __str__(self) -> str:
        return f"{self.policy}{f'[{self.scope}]' if self.scope else ''} from {self.effective_from.isoformat()}"


class IdempotencyKey(models.Model):
    """A money request that was decided: the key its client chose, what it asked, and the answer it gets for ever."""

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", db_index=False)
    operation = models.CharField(max_length=40)
    key = models.CharField(max_length=200)
    fingerprint = models.BinaryField(max_length=32, help_text="SHA-256 of the request, without the PIN.")
    refusal = models.CharField(max_length=40, blank=True, help_text="The code of the rule that refused; empty: done.")
    answer = models.JSONField(default=dict, help_text="Ids of what was done, or the facts of the refusal.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "operation", "key"], name="one_key_a_person_and_operation")
        ]

    def __str__(self) -> str:
        return f"{self.operation} {self.key}"


class OutboxEvent(models.Model):
    """Something to be told outside this database, written in the same commit as what it tells of."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    topic = models.CharField(max_length=60)
    payload = models.JSONField()
    tx = models.BigIntegerField(
        db_default=CurrentTransaction(), editable=False, help_text="The writing transaction; cursors order by (tx, id)."
    )
    available_at = models.DateTimeField(help_text="Not delivered before; moved on by each failed attempt.")
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.CharField(max_length=200, blank=True)
    request_id = models.CharField(
        max_length=64, blank=True, default="", db_default="", help_text="The request that wrote it, as in the log."
    )
    delivered_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [
            models.Index(
                fields=["available_at", "id"], condition=Q(delivered_at__isnull=True), name="outbox_undelivered"
            )
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.pk}"


class Run(models.Model):
    """Long work that any number of workers carry out in batches and any of them can take up again."""

    class State(models.TextChoices):
        """OPEN → COUNTING → POSTING → CLOSED; STOPPED from any but CLOSED, by a check that did not agree."""

        OPEN = "open", "Open"
        COUNTING = "counting", "Counting"
        POSTING = "posting", "Posting"
        CLOSED = "closed", "Closed"
        STOPPED = "stopped", "Stopped"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=40)
    scope = models.CharField(max_length=60, help_text="What the run is about, e.g. a fund's code.")
    day = models.DateField()
    revision = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    figures = models.JSONField(default=dict, blank=True, help_text="Totals of the run, decimals as strings.")
    fault = models.TextField(blank=True, help_text="Why the run stopped.")
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-opened_at"]
        constraints = [models.UniqueConstraint(fields=["kind", "scope", "day", "revision"], name="one_run_a_day")]
        indexes = [models.Index(fields=["kind", "scope", "day"], condition=~Q(state="closed"), name="run_unfinished")]

    def __str__(self) -> str:
        return f"{self.kind} {self.scope} {self.day} r{self.revision}"


class RunBatch(models.Model):
    """One range of a run's work: a step of it is one transaction, which also moves this row's state on."""

    class State(models.TextChoices):
        """PLANNED → COUNTED → POSTED."""

        PLANNED = "planned", "Planned"
        COUNTED = "counted", "Counted"
        POSTED = "posted", "Posted"

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="batches", db_index=False)
    position = models.PositiveIntegerField()
    low = models.UUIDField(help_text="First account of the range.")
    high = models.UUIDField(help_text="Last account of the range, included.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.PLANNED)
    attempts = models.PositiveIntegerField(default=0)
    figures = models.JSONField(default=dict, blank=True)
    counted_at = models.DateTimeField(null=True, blank=True)
    posted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["run", "position"]
        constraints = [models.UniqueConstraint(fields=["run", "position"], name="one_batch_a_position")]

    def __str__(self) -> str:
        return f"{self.run_id} #{self.position}"
