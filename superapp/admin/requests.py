"""Requests that were decided, what waits to be told outside, and what this database is."""

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from superapp.admin.read_only import EMPTY, ReadOnlyAdmin, table_of
from superapp.models import IdempotencyKey, Installation, OutboxEvent


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
    fields = ["user", "operation", "key", "outcome", "what", "ruled_by", "created_at"]
    readonly_fields = ["what", "ruled_by"]

    @display(description="Outcome")
    def outcome(self, key: IdempotencyKey) -> str:
        """Done, or the code of the refusal."""
        return key.refusal or "done"

    @display(description="Answer")
    def what(self, key: IdempotencyKey) -> SafeString:
        """Ids of what was done, or the facts of the refusal."""
        return table_of(key.answer)

    @display(description="Ruled by")
    def ruled_by(self, key: IdempotencyKey) -> SafeString | str:
        """Of a refusal by a policy: the version of it that refused."""
        version = key.answer.get("facts", {}).get("rule_version")
        if version is None:
            return EMPTY
        if not version:
            return "the policy's built-in default"
        address = reverse("admin:superapp_policyversion_change", args=[version])
        return format_html(
            '<a class="text-primary-600 dark:text-primary-500" href="{}">policy version #{}</a>', address, version
        )


@admin.register(Installation)
class InstallationAdmin(ReadOnlyAdmin):
    """What this database is, and in a sandbox how far its clock is from real time."""

    list_display = ["mode", "clock_offset", "created_at"]
