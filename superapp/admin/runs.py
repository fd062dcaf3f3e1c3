"""Daily runs, with bars and figures that move while the workers are at it."""

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from superapp.admin.read_only import EMPTY, ReadOnlyAdmin, ReadOnlyInline, table_of
from superapp.models import Run, RunBatch


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
