"""Requests that were decided, what waits to be told outside, and what this database is."""

from django.contrib import admin
from django.utils.safestring import SafeString
from unfold.decorators import display

from superapp.admin.read_only import ReadOnlyAdmin, table_of
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
