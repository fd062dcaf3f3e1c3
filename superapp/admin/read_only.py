"""What every page about rows that only code writes leans on: nobody adds, changes or deletes one here."""

# ruff: noqa: ARG002 - the signatures are Django's

import json
from typing import Any

from django.db.models import Model
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline

from superapp.bounded_pages import BoundedPaginator

EMPTY = "–"


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
    return format_html_join("", '<div class="flex gap-4"><b class="shrink-0 w-72">{}</b><span>{}</span></div>', rows)
