"""The back office's pages for people, policy, calendars and what runs by itself.

Other apps lean on two things here: `ReadOnlyAdmin`, for rows that only code writes, and `PERSON_LINKS`, to which an
app's `admin.py` appends what it knows of a person ("Accounts", a list already filtered), so that an operator gets from
a phone number to the money in three clicks.
"""

# ruff: noqa: ARG002 - the signatures are Django's

import json
from collections.abc import Callable, Mapping
from typing import Any

from allauth.account.models import EmailAddress, EmailConfirmation
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin
from django.contrib.auth.models import Group
from django.db.models import Count, Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display

from superapp import clock, people, policies
from superapp.bounded_pages import BoundedPaginator
from superapp.models import CalendarDay, IdempotencyKey, Installation, OutboxEvent, PolicyVersion, Run, RunBatch, User
from superapp.policy_form import PolicyVersionForm

PERSON_LINKS: list[Callable[[User], tuple[str, str]]] = []
"""Functions that give (title, address) of a page about a person; shown on the person's page in this order."""

EMPTY = "–"

for model in (Group, EmailAddress, EmailConfirmation, Authenticator, UserSession):
    # Seen on the person's page, or in pages of our own: addresses and second factors are changed by their owners.
    if admin.site.is_registered(model):
        admin.site.unregister(model)


class ReadOnlyAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """Rows that can be looked at and nothing else, by anyone, superusers included."""

    list_per_page = 50
    paginator = BoundedPaginator
    list_after_template = "superapp/bounded_list.html"
    show_full_result_count = False
    empty_value_display = EMPTY

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody adds a row by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody changes one."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody deletes one."""
        return False


class ReadOnlyInline(TabularInline):  # type: ignore[misc]
    """Rows of a page that can only be looked at, a page at a time."""

    extra = 0
    per_page = 20
    can_delete = False
    show_change_link = False
    hide_title = True

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody adds a row by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody changes one."""
        return False


def table_of(values: dict[str, Any]) -> SafeString:
    """Names and values, one per line; what is nested is shown as JSON."""
    rows = (
        (name, value if isinstance(value, str | int) else json.dumps(value, ensure_ascii=False))
        for name, value in values.items()
    )
    return format_html_join("", '<div class="flex gap-4"><b class="w-48">{}</b><span>{}</span></div>', rows)


def in_words(value: object) -> str:
    """A policy's value as an operator reads it: amounts with their currencies, the rest as it prints."""
    if isinstance(value, Mapping):
        return ", ".join(f"{amount} {name}" for name, amount in value.items())
    return str(value)


def progress_bar(done: int, total: int) -> SafeString:
    """A bar with its figures: how much of a whole is done. Words, where there was nothing to do."""
    if not total:
        return format_html("<span>{}</span>", "no batches")
    percent = 100 * done // total
    return format_html(
        '<div style="display:flex;align-items:center;gap:.5rem;min-width:14rem">'
        '<div style="flex:1;height:.5rem;border-radius:.25rem;background:rgba(128,128,128,.25);overflow:hidden">'
        '<div style="width:{}%;height:100%;background:oklch(62.3% .188 248)"></div></div>'
        "<span>{} of {}</span></div>",
        percent,
        done,
        total,
    )


@admin.register(Group)
class OperatorGroupAdmin(GroupAdmin, ModelAdmin):  # type: ignore[misc]
    """What groups of operators may do."""

    actions = None


class EmailAddresses(ReadOnlyInline):
    """E-mail addresses a person signs in by."""

    model = EmailAddress
    verbose_name_plural = "E-mail addresses"
    fields = ["email", "verified", "primary"]
    ordering = ["email"]


@admin.register(User)
class PersonAdmin(ModelAdmin):  # type: ignore[misc]
    """People: found by phone, name, e-mail or handle. They are never deleted; access ends by making them inactive."""

    list_display = ["name", "phone", "email", "handle", "access", "created_at"]
    list_filter = ["is_active", "is_staff"]
    search_fields = ["email__istartswith", "handle__istartswith", "display_name__icontains", "=id"]
    search_help_text = "The beginning of a phone number, e-mail or handle; part of a name"
    ordering = ["-id"]
    list_per_page = 50
    show_full_result_count = False
    empty_value_display = EMPTY
    inlines = [EmailAddresses]
    filter_horizontal = ["groups"]
    readonly_fields = [
        "id", "pages", "phone", "pending_phone", "email", "handle", "second_factor", "created_at", "last_login",
    ]  # fmt: skip
    fieldsets = [
        (None, {"fields": ["pages", "display_name", "phone", "pending_phone", "email", "handle", "id"]}),
        ("Access", {"fields": ["is_active", "second_factor", "last_login", "created_at", "findable_by_phone"]}),
        ("Operator", {"fields": ["is_staff", "is_superuser", "groups"], "classes": ["collapse"]}),
    ]
    OPERATOR_FIELDS = ["is_staff", "is_superuser", "groups"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """People sign themselves up; operators are made with `manage.py createsuperuser` and promoted here."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Their money's history names them."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Only a superuser touches an operator, so that nobody gives themselves more than they have."""
        if isinstance(obj, User) and obj.is_staff and not _is_superuser(request):
            return False
        return bool(super().has_change_permission(request, obj))

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        """The operator's rights are a superuser's to give."""
        fields = list(super().get_readonly_fields(request, obj))
        return fields if _is_superuser(request) else fields + self.OPERATOR_FIELDS

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[User], search_term: str
    ) -> tuple[QuerySet[User], bool]:
        """By the fields above, and by the beginning of a phone number however it is written."""
        found, may_repeat = super().get_search_results(request, queryset, search_term)
        beginnings = people.phone_beginnings(search_term)
        if beginnings:
            by_phone = Q()
            for beginning in beginnings:
                by_phone |= Q(phone__startswith=beginning)
            found = found | queryset.filter(by_phone)
        return found, may_repeat

    @display(description="Person", ordering="display_name")
    def name(self, person: User) -> str:
        """What others see, or what we have instead."""
        return str(person)

    @display(description="Access", label={"active": "success", "operator": "info", "inactive": "danger"})
    def access(self, person: User) -> str:
        """Whether the person can sign in, and as what."""
        if not person.is_active:
            return "inactive"
        return "operator" if person.is_staff else "active"

    @display(description="See also")
    def pages(self, person: User) -> str:
        """Where to go on from here: what the apps know of this person."""
        links = [make(person) for make in PERSON_LINKS]
        if not links:
            return EMPTY
        return format_html_join(
            " · ", '<a class="text-primary-600 underline" href="{}">{}</a>', ((url, title) for title, url in links)
        )

    @display(description="Second factor", boolean=True)
    def second_factor(self, person: User) -> bool:
        """Whether a sign-in asks for more than the password."""
        return bool(Authenticator.objects.filter(user=person).exists())


class Batches(ReadOnlyInline):
    """The batches of a run, in order."""

    model = RunBatch
    verbose_name_plural = "Batches"
    ordering = ["position"]
    fields = ["position", "state", "attempts", "low", "high", "counted_at", "posted_at", "figures"]
    readonly_fields = fields


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    """Daily runs: how far each is and what it has counted so far."""

    list_display = ["kind", "scope", "day", "revision", "state_label", "progress", "opened_at", "closed_at"]
    list_filter = ["state", "kind", "scope"]
    date_hierarchy = "day"
    inlines = [Batches]
    fields = [
        "kind", "scope", "day", "revision", "state_label", "progress", "all_figures", "fault", "opened_at", "closed_at",
    ]  # fmt: skip
    readonly_fields = ["state_label", "progress", "all_figures"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        """Runs with the counts their bars show."""
        runs: QuerySet[Run] = super().get_queryset(request)
        return runs.annotate(
            planned=Count("batches"), posted=Count("batches", filter=Q(batches__state=RunBatch.State.POSTED))
        )

    @display(
        description="State",
        ordering="state",
        label={"Open": "info", "Counting": "info", "Posting": "warning", "Closed": "success", "Stopped": "danger"},
    )
    def state_label(self, run: Run) -> str:
        """Where the run is."""
        return run.get_state_display()

    @display(description="Batches posted")
    def progress(self, run: Run) -> SafeString:
        """How many of its batches are posted."""
        return progress_bar(getattr(run, "posted", 0), getattr(run, "planned", 0))

    @display(description="Figures")
    def all_figures(self, run: Run) -> SafeString | str:
        """The run's totals."""
        return table_of(run.figures) if run.figures else EMPTY


@admin.register(PolicyVersion)
class PolicyVersionAdmin(ModelAdmin):  # type: ignore[misc]
    """Dated policy. A new version is added; none is changed or deleted, because the past must stay replayable."""

    form = PolicyVersionForm
    list_display = ["policy", "scope", "shown_value", "effective_from", "standing", "created_by", "reason"]
    list_filter = ["policy", "scope"]
    search_fields = ["policy", "scope", "reason"]
    ordering = ["policy", "scope", "-effective_from"]
    list_before_template = "superapp/policies_in_force.html"
    empty_value_display = EMPTY

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Another version, with its own instant, is how a policy changes."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """What ruled once is shown for ever."""
        return False

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        """What is asked when adding, and shown afterwards."""
        asked = ["policy", "scope", "value", "effective_from", "reason"]
        return asked if obj is None else [*asked, "created_by", "created_at"]

    def save_model(self, request: HttpRequest, obj: PolicyVersion, form: PolicyVersionForm, change: bool) -> None:
        """Hands the version to `policies.change`, the one door through which policy changes."""
        saved = policies.change(
            policy=obj.policy,
            value=obj.value,
            effective_from=obj.effective_from,
            scope=obj.scope,
            reason=obj.reason,
            by=request.user if isinstance(request.user, User) else None,
        )
        obj.pk = saved.pk

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """The history, below a table of every policy with what rules now."""
        in_force = [
            {"name": policy.name, "doc": policy.doc, "value": in_words(ruling.value), "version": ruling.version}
            for policy, ruling in [(policy, policy.now()) for policy in policies.all()]
        ]
        return super().changelist_view(request, {**(extra_context or {}), "in_force": in_force})

    @display(description="Value")
    def shown_value(self, version: PolicyVersion) -> str:
        """The value on one line."""
        return in_words(version.value)

    @display(description="Standing", label={"planned": "info", "begun": "success"})
    def standing(self, version: PolicyVersion) -> str:
        """Whether its instant has come; the latest that has begun is the one that rules."""
        return "planned" if version.effective_from > clock.now() else "begun"


@admin.register(CalendarDay)
class CalendarDayAdmin(ModelAdmin):  # type: ignore[misc]
    """Exceptions to the calendars. Days that have passed stay as they were: orders were dated by them."""

    list_display = ["day", "calendar", "is_open", "reason", "created_at"]
    list_filter = ["calendar", "is_open"]
    date_hierarchy = "day"
    actions = None

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Only days to come."""
        return bool(super().has_change_permission(request, obj)) and _is_to_come(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Only days to come."""
        return bool(super().has_delete_permission(request, obj)) and _is_to_come(obj)


@admin.register(OutboxEvent)
class OutboxEventAdmin(ReadOnlyAdmin):
    """What waits to be told outside, and what was."""

    list_display = ["id", "topic", "state", "attempts", "available_at", "delivered_at", "last_error"]
    list_filter = ["topic", ("delivered_at", admin.EmptyFieldListFilter)]
    ordering = ["-id"]

    @display(description="State", label={"delivered": "success", "waiting": "info", "failing": "danger"})
    def state(self, event: OutboxEvent) -> str:
        """Delivered, waiting for its time, or tried in vain."""
        if event.delivered_at:
            return "delivered"
        return "failing" if event.last_error else "waiting"


@admin.register(IdempotencyKey)
class IdempotencyKeyAdmin(ReadOnlyAdmin):
    """Requests that were decided, and how: what a person's app has sent under which key."""

    list_display = ["id", "operation", "key", "user", "outcome", "created_at"]
    list_filter = ["operation"]
    search_fields = ["=key", "=user__id"]
    search_help_text = "A key, or a person's id"
    list_select_related = ["user"]
    ordering = ["-id"]
    fields = ["user", "operation", "key", "outcome", "what", "created_at"]
    readonly_fields = ["what"]

    @display(description="Outcome")
    def outcome(self, key: IdempotencyKey) -> str:
        """Done, or the code of the refusal."""
        return key.refusal or "done"

    @display(description="Answer")
    def what(self, key: IdempotencyKey) -> SafeString:
        """Ids of what was done, or the facts of the refusal."""
        return table_of(key.answer)


@admin.register(Installation)
class InstallationAdmin(ReadOnlyAdmin):
    """What this database is, and in a sandbox how far its clock is from real time."""

    list_display = ["mode", "clock_offset", "created_at"]


def _is_superuser(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and request.user.is_superuser


def _is_to_come(obj: Model | None) -> bool:
    return not isinstance(obj, CalendarDay) or obj.day >= clock.today()
