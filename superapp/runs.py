"""Runs: long work in batches that any number of workers carry out, and any of them can take up again.

A `Run` is one piece of such work (the income of a fund and day, with its revision); its `RunBatch` rows are ranges of
accounts. Each step of a batch is one transaction that also moves the batch's state, so a worker that is killed leaves a
batch either untouched or done, and doing it again finds nothing to do.

| run | from | to |
|---|---|---|
| planned, batches written | OPEN | COUNTING |
| every batch counted, figures agree | COUNTING | POSTING |
| every batch posted, figures agree | POSTING | CLOSED |
| a check did not agree | any but CLOSED | STOPPED |
| mended by a person | STOPPED | OPEN, COUNTING, POSTING |

There is no command and no page for the last: whoever has found the cause and mended it calls `advance` in a shell, into the
state that the run stopped in. Until then it stands, with what it has posted, and so does what waits for it.

Every move is a conditional UPDATE that names the state it comes from: of two workers that try, one moves it.
"""

import json
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, Max, Min, Q, QuerySet

from superapp import clock
from superapp.models import Run, RunBatch

_S, _B = Run.State, RunBatch.State

MOVES: Mapping[Run.State, frozenset[Run.State]] = {
    _S.OPEN: frozenset({_S.COUNTING, _S.STOPPED}),
    _S.COUNTING: frozenset({_S.POSTING, _S.STOPPED}),
    _S.POSTING: frozenset({_S.CLOSED, _S.STOPPED}),
    _S.CLOSED: frozenset(),
    _S.STOPPED: frozenset({_S.OPEN, _S.COUNTING, _S.POSTING}),
}
"""The allowed moves of a run."""

BATCH_MOVES: Mapping[RunBatch.State, RunBatch.State] = {_B.PLANNED: _B.COUNTED, _B.COUNTED: _B.POSTED}
"""The allowed moves of a batch."""

WORKED_IN: Mapping[RunBatch.State, Run.State] = {_B.PLANNED: _S.COUNTING, _B.COUNTED: _S.POSTING}
"""In which state of its run a batch of each state is taken up: a stopped run is left alone."""

_POLL_SECONDS = 0.05

WRITE_FIGURES_SQL = """
    UPDATE superapp_runbatch b
    SET figures = b.figures || f.figures, state = coalesce(%(to_state)s::text, b.state),
        attempts = b.attempts + CASE WHEN %(to_state)s::text IS NULL THEN 0 ELSE 1 END,
        counted_at = CASE WHEN %(to_state)s::text = 'counted' THEN %(now)s::timestamptz ELSE b.counted_at END,
        posted_at = CASE WHEN %(to_state)s::text = 'posted' THEN %(now)s::timestamptz ELSE b.posted_at END
    FROM ({found}) AS f(id, figures)
    WHERE b.id = f.id AND (%(came_from)s::text IS NULL OR b.state = %(came_from)s::text)
"""
GIVEN_SQL = "SELECT g.id, g.figures::jsonb FROM unnest(%(ids)s::bigint[], %(figures)s::text[]) AS g(id, figures)"


@dataclass(frozen=True)
class Query:
    """Figures that the database works out itself: one row a batch, its id and its figures as jsonb."""

    sql: str
    params: Mapping[str, Any]


@dataclass(frozen=True)
class Progress:
    """How far a run is, in batches."""

    done: int
    """Posted."""
    total: int
    counted: int
    """Counted or posted."""
    seconds_left: float | None = None
    """Until the last batch is posted, at the pace so far; None until two are, and at the end."""


class RunsStuck(Exception):
    """Runs did not close in time, or stopped; names them."""


def open_run(kind: str, scope: str, day: date, revision: int = 0, figures: Mapping[str, Any] | None = None) -> Run:
    """The run of that kind, scope, day and revision; made now unless it is there. Of two that ask at once both get one."""
    run, _ = Run.objects.get_or_create(
        kind=kind,
        scope=scope,
        day=day,
        revision=revision,
        defaults={"figures": dict(figures or {}), "opened_at": clock.now()},
    )
    return run


def plan_batches(run: Run, ranges: Iterable[tuple[uuid.UUID, uuid.UUID]]) -> int:
    """Writes a batch for each range (first and last account, both included), in order. Says how many there are.

    Planning again adds nothing to what is planned. Belongs into the transaction that moves the run to COUNTING.
    """
    batches = [RunBatch(run=run, position=position, low=low, high=high) for position, (low, high) in enumerate(ranges)]
    RunBatch.objects.bulk_create(batches, ignore_conflicts=True, batch_size=5_000)
    return run.batches.count()


def claim_batch(run_id: uuid.UUID, state: RunBatch.State) -> RunBatch | None:
    """Locks the first batch of the run in that state that no other worker holds, until the transaction ends.

    The run comes with it, as it is at this moment.
    None when there is none, or when the run is not in the state in which such batches are worked (see WORKED_IN).
    """
    _must_be_in_transaction()
    return (
        RunBatch.objects.filter(run_id=run_id, state=state, run__state=WORKED_IN[state])
        .select_related("run")
        .order_by("position")
        .select_for_update(skip_locked=True, of=("self",), no_key=True)
        .first()
    )


def finish_batch(batch: RunBatch, to_state: RunBatch.State, figures: Mapping[str, Any] | None = None) -> None:
    """Moves a claimed batch on and adds to its figures (decimals as strings), in the transaction that did its work.

    Raises RuntimeError if the batch is no longer where it was claimed: then nothing of this transaction may commit.
    """
    _must_be_in_transaction()
    came_from = RunBatch.State(batch.state)
    if BATCH_MOVES.get(came_from) != to_state:
        raise ValueError(f"A batch does not go from {came_from} to {to_state}.")
    if not _write_figures([batch], {batch.pk: figures or {}}, came_from=came_from, to_state=to_state):
        raise RuntimeError(f"Batch {batch} was moved on by another worker while it was claimed.")
    batch.figures = {**batch.figures, **(figures or {})}
    batch.state = to_state


def finish_batches(
    batches: Sequence[RunBatch], to_state: RunBatch.State, figures: Mapping[int, Mapping[str, Any]] | Query
) -> None:
    """`finish_batch` for several claimed batches of one state, in one statement; `figures`: what to add to each.

    What a query finds goes to the batches without passing by here: the objects do not have it.
    """
    _must_be_in_transaction()
    came_from = {RunBatch.State(batch.state) for batch in batches}
    if {BATCH_MOVES.get(state) for state in came_from} != {to_state}:
        raise ValueError(f"Batches do not go from {sorted(came_from)} to {to_state}.")
    if _write_figures(batches, figures, came_from=came_from.pop(), to_state=to_state) != len(batches):
        raise RuntimeError("A batch was moved on by another worker while it was claimed.")
    for batch in batches:
        batch.state = to_state


def add_figures(batches: Sequence[RunBatch], figures: Mapping[int, Mapping[str, Any]] | Query) -> None:
    """Adds figures to claimed batches, which stay in their state."""
    _must_be_in_transaction()
    _write_figures(batches, figures, came_from=None, to_state=None)


def _write_figures(
    batches: Sequence[RunBatch],
    figures: Mapping[int, Mapping[str, Any]] | Query,
    *,
    came_from: RunBatch.State | None,
    to_state: RunBatch.State | None,
) -> int:
    if not isinstance(figures, Query):
        given = [json.dumps(dict(figures.get(batch.pk, {}))) for batch in batches]
        figures = Query(GIVEN_SQL, {"ids": [batch.pk for batch in batches], "figures": given})
    move = {"came_from": came_from, "to_state": to_state, "now": clock.now()}
    with connection.cursor() as cursor:
        cursor.execute(WRITE_FIGURES_SQL.format(found=figures.sql), {**figures.params, **move})
        return int(cursor.rowcount)


def advance(run: Run, from_state: Run.State, to_state: Run.State, figures: Mapping[str, Any] | None = None) -> bool:
    """Moves the run if it is in `from_state`, with figures added; whether this call did it. The object is brought along.

    Raises ValueError for a move that does not exist.
    """
    if to_state not in MOVES[from_state]:
        raise ValueError(f"A run does not go from {from_state} to {to_state}.")
    with transaction.atomic():
        locked = Run.objects.select_for_update(no_key=True).filter(pk=run.pk, state=from_state).first()
        if locked is None:
            run.refresh_from_db()
            return False
        locked.state = to_state
        locked.figures = {**locked.figures, **(figures or {})}
        locked.closed_at = clock.now() if to_state == _S.CLOSED else None
        locked.fault = locked.fault if to_state == _S.STOPPED else ""
        Run.objects.filter(pk=run.pk, state=from_state).update(
            state=locked.state, figures=locked.figures, closed_at=locked.closed_at, fault=locked.fault
        )
    run.refresh_from_db()
    return True


def stop(run: Run, fault: str) -> bool:
    """Stops a run that a check does not let go on, with the reason for operators; whether this call did it.

    Batches that are being worked on may still commit; no further one is taken up.
    """
    moved = (
        Run.objects.filter(pk=run.pk).exclude(state__in=[_S.CLOSED, _S.STOPPED]).update(state=_S.STOPPED, fault=fault)
    )
    run.refresh_from_db()
    return bool(moved)


def with_progress(found: "QuerySet[Run]") -> "QuerySet[Run]":
    """The runs with what `progress_of` needs, in one query for all of them."""
    posted = Q(batches__state=_B.POSTED)
    return found.annotate(
        batches_total=Count("batches"),
        batches_done=Count("batches", filter=posted),
        batches_counted=Count("batches", filter=posted | Q(batches__state=_B.COUNTED)),
        first_posted_at=Min("batches__posted_at"),
        last_posted_at=Max("batches__posted_at"),
    )


def progress_of(run: Run) -> Progress:
    """How far a run is that was read by `with_progress`."""
    total, done, counted = (getattr(run, f"batches_{part}") for part in ("total", "done", "counted"))
    seconds_left = None
    first, last = getattr(run, "first_posted_at", None), getattr(run, "last_posted_at", None)
    if first is not None and last is not None and 1 < done < total:
        seconds_left = (last - first).total_seconds() / (done - 1) * (total - done)
    return Progress(done=done, total=total, counted=counted, seconds_left=seconds_left)


def progress(run: Run) -> Progress:
    """How many of the run's batches are counted and posted, as of now."""
    return progress_of(with_progress(Run.objects.filter(pk=run.pk)).get())


def all_batches_past(run: Run, state: RunBatch.State) -> bool:
    """Whether no batch of the run is in `state`, or before it, any more."""
    before = [_B.PLANNED] if state == _B.PLANNED else [_B.PLANNED, _B.COUNTED]
    return not RunBatch.objects.filter(run=run, state__in=before).exists()


def total(run: Run, figure: str) -> Decimal:
    """The exact sum of one figure over the run's batches; a batch without it counts as zero."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum((figures ->> %s)::numeric), 0) FROM superapp_runbatch WHERE run_id = %s",
            [figure, run.pk],
        )
        row = cursor.fetchone()
    return Decimal(row[0])


def totals(run: Run) -> dict[str, Decimal]:
    """The exact sums of all single figures of the run's batches, by name; what is nested or no number is left out."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT f.key, sum((f.value #>> '{}')::numeric)
            FROM superapp_runbatch b, jsonb_each(b.figures) f
            WHERE b.run_id = %s AND (f.value #>> '{}') ~ '^-?[0-9]+([.][0-9]+)?$'
            GROUP BY f.key ORDER BY f.key
            """,
            [run.pk],
        )
        return {name: Decimal(total) for name, total in cursor.fetchall()}


def unfinished() -> QuerySet[Run]:
    """Runs that workers still have to carry out: neither closed nor stopped."""
    return Run.objects.filter(state__in=[_S.OPEN, _S.COUNTING, _S.POSTING]).order_by("day", "kind", "scope", "revision")


def wait_until_closed(*, deadline_seconds: float, work: Callable[[], int] | None = None) -> None:
    """Returns once no run is unfinished. `work` is called between looks and says how much it did.

    Raises RunsStuck when nothing has moved for `deadline_seconds`: neither here nor in any other worker.
    """
    last_seen: object = None
    gives_up = time.monotonic() + deadline_seconds
    while True:
        done = work() if work is not None else 0
        open_runs = list(unfinished())
        if not open_runs:
            return
        seen = [(run.pk, run.state, progress(run)) for run in open_runs]
        if done or seen != last_seen:
            gives_up = time.monotonic() + deadline_seconds
        elif time.monotonic() > gives_up:
            names = ", ".join(
                f"{run} ({run.state}, {progress(run).done} of {progress(run).total})" for run in open_runs
            )
            raise RunsStuck(f"Nothing has moved for {deadline_seconds:g} s: {names}.")
        else:
            time.sleep(_POLL_SECONDS)
        last_seen = seen


def _must_be_in_transaction() -> None:
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("A batch is claimed and finished inside one transaction.")
