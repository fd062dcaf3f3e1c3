"""Dated policy and the exceptions to the calendars: what operators decide, and from when it holds."""

# ruff: noqa: ARG002 - the signatures are Django's

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from unfold.admin import ModelAdmin
from unfold.decorators import display

from superapp import clock, policies
from superapp.admin.read_only import EMPTY
from superapp.errors import PolicyRefused
from superapp.models import CalendarDay, PolicyVersion, User
from superapp.policy_form import PolicyVersionForm


def in_words(value: object) -> str:
    """A policy's value as an operator reads it: amounts with their currencies, the rest as it prints."""
    if isinstance(value, Mapping):
        return ", ".join(f"{amount} {name}" for name, amount in value.items())
    return str(value)


@admin.register(PolicyVersion)
class PolicyVersionAdmin(ModelAdmin):  # type: ignore[misc]
    """Dated policy. A new version is added; none is changed or deleted, because the past must stay replayable."""

    form = PolicyVersionForm
    list_display = ["number", "policy", "scope", "shown_value", "effective_from", "standing", "created_by", "reason"]
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

    def get_form(self, request: HttpRequest, obj: Model | None = None, change: bool = False, **kwargs: Any) -> Any:
        """The form, with what refused the version a moment ago."""
        form = super().get_form(request, obj, change, **kwargs)
        form.refusal = getattr(request, "policy_refusal", "")
        return form

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Plans the version. What refuses it only as it is written (its instant has just passed, or somebody else has just
        planned one for the same instant) comes back as an error of the form."""
        try:
            planned: HttpResponse = super().add_view(request, form_url, extra_context)
        except PolicyRefused as refusal:
            # nothing has been written: Django rolls its view back. Shown by the same view, whose form now knows
            request.policy_refusal = refusal.reason  # type: ignore[attr-defined]
            planned = super().add_view(request, form_url, extra_context)
        return planned

    def save_model(self, request: HttpRequest, obj: PolicyVersion, form: PolicyVersionForm, change: bool) -> None:
        """Hands the version to `policies.change`, the one door through which policy changes."""
        saved = policies.change(
            policy=obj.policy,
            value=obj.value,
            effective_from=obj.effective_from,  # None where the operator left it empty
            scope=obj.scope,
            reason=obj.reason,
            by=request.user if isinstance(request.user, User) else None,
        )
        obj.pk, obj.effective_from = saved.pk, saved.effective_from

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """The history, below a table of every policy with what rules now."""
        in_force = [
            {"name": policy.name, "doc": policy.doc, "value": in_words(ruling.value), "version": ruling.version}
            for policy, ruling in [(policy, policy.now()) for policy in policies.all()]
        ]
        return super().changelist_view(request, {**(extra_context or {}), "in_force": in_force})

    @display(description="Version", ordering="pk")
    def number(self, version: PolicyVersion) -> str:
        """As what is in force, and a refusal, names it."""
        return f"#{version.pk}"

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


def _is_to_come(obj: Model | None) -> bool:
    return not isinstance(obj, CalendarDay) or obj.day >= clock.today()
