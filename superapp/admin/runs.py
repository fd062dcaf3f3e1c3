"""Daily runs, with bars and figures that move while workers are at them.

The page asks for the parts that change, once a second and only while a shown run is unfinished and the page is looked at:
one query for however many runs are on the page, two more for the figures of the one that is open.

What figures mean is known to the app whose runs they are: it says so in WORDS.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import BadRequest, PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, JsonResponse
from django.urls import NoReverseMatch, URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from superapp import runs
from superapp.admin.read_only import EMPTY, ReadOnlyAdmin, ReadOnlyInline, table_of
from superapp.models import Run, RunBatch
from superapp.runs import Progress

MOST_LIVE = 100
"""Runs that one page asks after at once; a page lists half as many."""


@dataclass(frozen=True, slots=True)
class Words:
    """How runs of one kind tell of their figures: what each is called, in order, and how some are shown."""

    labels: Mapping[str, str]
    shown: Mapping[str, Callable[[Any], SafeString | str]] = field(default_factory=dict)
    """By name, from a figure as it is stored."""
    sums: Mapping[str, str] = field(default_factory=dict)
    """What the sums over the batches are called."""
    remark: Callable[[Mapping[str, Any]], str] = lambda _: ""
    """What the figures come to, in a sentence."""

    def lines(self, figures: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
        """The figures in words, in the order of the labels; what has no label goes by its name, at the end.

        A figure that is not what the code writes, as only a hand can make it, is shown as it is.
        """
        for name in (*self.labels, *(name for name in figures if name not in self.labels)):
            if name in figures:
                yield self.labels.get(name, name), self._shown(name, figures[name])

    def said(self, figures: Mapping[str, Any]) -> str:
        """The remark; nothing where the figures are not what the code writes."""
        try:
            return self.remark(figures)
        except (TypeError, ValueError):
            return ""

    def _shown(self, name: str, value: Any) -> Any:
        show = self.shown.get(name)
        try:
            return show(value) if show else value
        except (TypeError, ValueError, NoReverseMatch):
            return value


WORDS: dict[str, Words] = {}
"""By kind of run; an app adds its own kinds. The figures of any other are shown by their names."""

COLOURS = {
    Run.State.OPEN: "oklch(62.3% .188 248)",
    Run.State.COUNTING: "oklch(62.3% .188 248)",
    Run.State.POSTING: "oklch(75% .16 75)",
    Run.State.CLOSED: "oklch(65% .15 150)",
    Run.State.STOPPED: "oklch(60% .22 25)",
}
ENDED = {Run.State.CLOSED, Run.State.STOPPED}


def progress_bar(progress: Progress, *, state: str) -> SafeString:
    """Two bars over one another, counted (pale) and posted, with the figures beside them."""
    if not progress.total:
        return format_html("<span>{}</span>", "no batches")
    return format_html(
        '<div style="display:flex;align-items:center;gap:.5rem;min-width:18rem">'
        '<div role="progressbar" aria-valuemin="0" aria-valuemax="{total}" aria-valuenow="{done}" style="position:relative;'
        'flex:1;height:.5rem;border-radius:.25rem;background:rgba(128,128,128,.25);overflow:hidden">'
        '<div style="position:absolute;width:{counted_percent}%;height:100%;opacity:.35;background:{colour}"></div>'
        '<div style="position:absolute;width:{percent}%;height:100%;background:{colour}"></div></div>'
        '<span style="font-variant-numeric:tabular-nums;white-space:nowrap">{done} of {total}{more}</span></div>',
        total=progress.total,
        done=progress.done,
        counted_percent=100 * progress.counted // progress.total,
        percent=100 * progress.done // progress.total,
        colour=COLOURS[Run.State(state)],
        more=_in_words(progress, state=state),
    )


def _in_words(progress: Progress, *, state: str) -> str:
    if state == Run.State.COUNTING:
        return f", {progress.counted} counted"
    if state == Run.State.POSTING and progress.seconds_left is not None:
        return f", about {progress.seconds_left:.0f} s left"
    return ""


def _live(run: Run, part: str, inside: SafeString | str) -> SafeString:
    """A place that the page's script fills anew while the run goes on."""
    waits = "" if run.state in ENDED else "yes"
    return format_html('<div data-run="{}" data-part="{}" data-unfinished="{}">{}</div>', run.pk, part, waits, inside)


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
        "kind", "scope", "day", "revision", "state_label", "progress", "so_far", "all_figures", "fault", "opened_at",
        "closed_at",
    ]  # fmt: skip
    readonly_fields = ["state_label", "progress", "so_far", "all_figures"]

    class Media:
        js = ["superapp/live-runs.js"]

    def get_urls(self) -> list[URLPattern]:
        """With what moves."""
        return [
            path("live/", self.admin_site.admin_view(self.live_view), name="superapp_run_live"),
            *super().get_urls(),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        """Runs with how far they are, so that a page of bars costs one query."""
        return runs.with_progress(super().get_queryset(request))

    def live_view(self, request: HttpRequest) -> JsonResponse:
        """The moving parts of the runs named in `runs`, by run and part; `open` names the one whose page it is."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            asked = [UUID(each) for each in request.GET.get("runs", "").split(",")[:MOST_LIVE] if each]
        except ValueError as fault:
            raise BadRequest("A run is named by its id.") from fault
        parts = {
            str(run.pk): self._parts(run, is_open=str(run.pk) == request.GET.get("open")) for run in self._of(asked)
        }
        return JsonResponse({"runs": parts})

    def _of(self, ids: list[UUID]) -> QuerySet[Run]:
        return runs.with_progress(Run.objects.filter(pk__in=ids))

    def _parts(self, run: Run, *, is_open: bool) -> dict[str, Any]:
        parts = {"state": str(self._state(run)), "progress": str(self._bar(run))}
        if is_open:
            parts |= {"so_far": str(self._sums(run)), "figures": str(self._figures(run))}
        return {"unfinished": run.state not in ENDED, "parts": parts}

    @display(description="State", ordering="state")
    def state_label(self, run: Run) -> SafeString:
        """Where the run is."""
        return _live(run, "state", self._state(run))

    @display(description="Batches posted")
    def progress(self, run: Run) -> SafeString:
        """How many of its batches are posted."""
        return _live(run, "progress", self._bar(run))

    @display(description="Batches so far")
    def so_far(self, run: Run) -> SafeString:
        """The sums over its batches, as far as they are worked."""
        return _live(run, "so_far", self._sums(run))

    @display(description="Figures")
    def all_figures(self, run: Run) -> SafeString:
        """The run's totals."""
        return _live(run, "figures", self._figures(run))

    def _state(self, run: Run) -> SafeString:
        return format_html(
            '<span style="border-left:.25rem solid {};padding-left:.5rem">{}</span>',
            COLOURS[Run.State(run.state)],
            run.get_state_display(),
        )

    def _bar(self, run: Run) -> SafeString:
        return progress_bar(runs.progress_of(run), state=run.state)

    def _sums(self, run: Run) -> SafeString | str:
        called = _words_of(run).sums
        sums = {called.get(name, name): f"{total:,f}" for name, total in runs.totals(run).items()}
        return table_of(sums) if sums else EMPTY

    def _figures(self, run: Run) -> SafeString | str:
        if not run.figures:
            return EMPTY
        words = _words_of(run)
        return format_html("{}<div>{}</div>", table_of(dict(words.lines(run.figures))), words.said(run.figures))


def _words_of(run: Run) -> Words:
    return WORDS.get(run.kind, Words(labels={}))
