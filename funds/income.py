"""The daily income of a fund: a run that any number of workers carry out, and any of them can take up again.

| run is | a step | what it does, each in one transaction |
|---|---|---|
| open | freeze | entitlements are fixed (`funds.entitlement`) |
| open | plan | ranges of accounts become batches |
| counting | shares | only for a derived y: a batch's entitled shares |
| counting | count | a batch's holders, incomes as cut, and how the cut fractions lie |
| counting | fractions | only when steps end where they were not expected: how all fractions lie |
| counting | ties | only then, when they end inside a bucket: the exact fractions there |
| posting | post | a batch's incomes are posted, if they agree with what was counted |
| posting | shortfalls | what holders owe is collected from what the run paid them (`funds.shortfalls`) |
| posting | later income | income of holdings that were redeemed whole goes on to cash (`funds.later_income`) |
| posting | close | the totals agree, what is carried is posted, the day is paid |

A step is finished by a conditional UPDATE in the commit of its work: killed anywhere, a run goes on where it was, and two
workers do not do the same step twice. When figures disagree the run stops and says where; nothing wrong is posted.

A corrected y is a run of its own, for the same day and on the same basis, that posts the difference to what its base paid.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import DatabaseError, transaction
from django.db.models import F, Max

from funds import income_batches, income_days
from funds.catalogue import zone_of
from funds.entitlement import freeze
from funds.income_figures import INCOME_RUN, Figures, figures_of
from funds.models import Fund, FundDay, Yield
from superapp import clock, doorbell, runs
from superapp.errors import DomainError
from superapp.models import Run
from wallet.errors import LedgerFault

log = logging.getLogger(__name__)

KIND = INCOME_RUN
PAY_TASK = "funds.pay_income"
WORK_TASK = "funds.work_income_run"
HELPERS = 4
"""How many workers are called to a stage with more than one batch."""

FAULTS_OF_A_RUN = (DatabaseError, DomainError, LedgerFault, ValueError)
"""What may go wrong with one run and says nothing of the others: the database, the ledger, figures that do not fit."""

_S = Run.State


@dataclass(frozen=True, slots=True)
class Worked:
    """What one round over several runs came to."""

    steps: int
    failed: int
    """Runs that raised; their step was rolled back, and the next round takes it again."""


def open_due_runs() -> list[UUID]:
    """Opens the runs that are due, of every fund, and names all that are unfinished, oldest day first.

    A fund whose run cannot be opened is logged and left for later; the others go on.
    """
    for fund in Fund.objects.order_by("code"):
        try:
            _open_next_day(fund)
            _open_corrections(fund)
        except FAULTS_OF_A_RUN:
            log.exception("income run not opened", extra={"fund": fund.code})
    return list(runs.unfinished().filter(kind=KIND).values_list("pk", flat=True))


def work_on_all(run_ids: Sequence[UUID], *, seconds: float) -> Worked:
    """Works on each of the runs for up to `seconds`. One that fails is logged and left for later; the others go on."""
    steps = failed = 0
    for run_id in run_ids:
        try:
            steps += work(run_id, seconds=seconds)
        except FAULTS_OF_A_RUN:
            failed += 1
            log.exception("income run failed", extra={"run": str(run_id)})
    return Worked(steps=steps, failed=failed)


def work(run_id: UUID, *, seconds: float) -> int:
    """Takes steps of a run until it ends, waits for someone else, or the time is up. Says how many."""
    stops_at = time.monotonic() + seconds
    steps = 0
    while time.monotonic() < stops_at and (taken := _take(run_id, until=stops_at)):
        steps += taken
    return steps


def is_unfinished(run_id: UUID) -> bool:
    """Whether there is still something to do for the run, now or later."""
    return runs.unfinished().filter(pk=run_id).exists()


def step(run_id: UUID) -> bool:
    """Takes the next step of the run, whatever it is; whether there was one to take. A run that is not here has none."""
    return _take(run_id, until=time.monotonic()) > 0


def _take(run_id: UUID, *, until: float) -> int:
    """Takes the next step of the run, and of batches one after the other until then; how many there were to take.

    Run and fund are read once for all of them: a batch is claimed only while its run is in the stage it is claimed for.
    """
    run = Run.objects.filter(pk=run_id, kind=KIND).first()
    if run is None:
        return 0
    fund = Fund.objects.get(code=run.scope)
    match run.state:
        case _S.OPEN:
            return int(_begin(fund, run))
        case _S.COUNTING:
            return _count(fund, run, until=until)
        case _S.POSTING:
            return _post(fund, run, until=until)
    return 0


def _open_next_day(fund: Fund) -> None:
    if _next_figure(fund) is None:
        return
    with transaction.atomic():
        _be_the_only_opener(fund)
        figure = _next_figure(fund)
        if figure is not None:
            _open(fund, figure, base=None)


def _open_corrections(fund: Fund) -> None:
    if not _corrections(fund):
        return
    with transaction.atomic():
        _be_the_only_opener(fund)
        for figure, base in _corrections(fund):
            _open(fund, figure, base=base)


def _be_the_only_opener(fund: Fund) -> None:
    """Without it two starters could open two runs for one day on two revisions of its figure, and each would pay it whole.

    The lock is the one under which a day is frozen: a day's door closes either before a correction is opened or after it
    has been posted.
    """
    Fund.objects.select_for_update(no_key=True).get(pk=fund.pk)


def _next_figure(fund: Fund) -> Yield | None:
    """The figure of the first day that has no run yet, once the day is over and it is known."""
    last = FundDay.objects.filter(fund=fund, closed_by__isnull=False).order_by("-day").first()
    day = last.day + timedelta(days=1) if last else fund.first_day
    if day >= clock.today(zone_of(fund)) or Run.objects.filter(kind=KIND, scope=fund.code, day=day).exists():
        return None
    return Yield.objects.filter(fund=fund, day=day).order_by("-revision").first()


def _corrections(fund: Fund) -> list[tuple[Yield, Run]]:
    """Figures that are newer than what their day was paid by, each with the run that paid it."""
    corrected = (
        FundDay.objects.filter(fund=fund, closed_by__isnull=False, fund__yields__day=F("day"))
        .annotate(newest=Max("fund__yields__revision"))
        .filter(newest__gt=F("closed_by__revision"))
        .select_related("closed_by")
    )
    return [
        (Yield.objects.filter(fund=fund, day=paid.day).order_by("-revision")[0], paid.closed_by)
        for paid in corrected.order_by("day")
        if paid.closed_by and not runs.unfinished().filter(kind=KIND, scope=fund.code, day=paid.day).exists()
    ]


def _open(fund: Fund, figure: Yield, *, base: Run | None) -> None:
    figures = Figures(
        decimals=income_days.decimals_of(fund),
        leftover=fund.leftover,
        per_10k=figure.per_10k,
        net_income=figure.net_income,
        base=base.pk if base else None,
    )
    runs.open_run(KIND, fund.code, figure.day, revision=figure.revision, figures=figures.stored())


def _begin(fund: Fund, run: Run) -> bool:
    if figures_of(run).base is not None and FundDay.objects.filter(fund=fund, horizon__isnull=True).exists():
        return False  # a later day is just being frozen: this correction must not be half before its horizon
    before = FundDay.objects.filter(fund=fund, day=run.day).values_list("horizon", "frozen_at").first()
    frozen = freeze(fund, run.day)
    if frozen is None:
        # Something is awaited; a step was taken only if the day's row has moved.
        return before != FundDay.objects.filter(fund=fund, day=run.day).values_list("horizon", "frozen_at").first()
    if income_days.plan(fund, run):
        call_helpers(run)
    return True


def _count(fund: Fund, run: Run, *, until: float) -> int:
    figures = figures_of(run)
    taken = _one_after_the_other(lambda: income_batches.read_some(fund, run, figures), until=until)
    if taken and time.monotonic() >= until:
        return taken
    if not income_batches.all_read(run, figures.stage):
        return taken
    try:
        moved = income_days.finish_stage(fund, run, figures)
    except ValueError as fault:
        runs.stop(run, f"What the batches counted does not belong together: {fault}")
        return taken
    if moved:
        call_helpers(run)
    return taken + 1


def _post(fund: Fund, run: Run, *, until: float) -> int:
    taken = _one_after_the_other(lambda: income_batches.post_one(fund, run), until=until)
    if taken:
        return taken
    run.refresh_from_db()
    if run.state != _S.POSTING or not income_batches.all_posted(run):
        return 0
    if income_days.collect_shortfalls(fund, run) or income_days.send_later_income_on(fund, run):
        return 1
    closed = income_days.close(fund, run)
    if closed and (_next_figure(fund) or _corrections(fund)):
        doorbell.ring(PAY_TASK)  # days that were missed follow one another, not one a sweep
    return int(closed)


def _one_after_the_other(take: Callable[[], bool], *, until: float) -> int:
    """How often `take` did something: at least once if it can, then until it no longer does or the time is up."""
    taken = 0
    while take():
        taken += 1
        if time.monotonic() >= until:
            break
    return taken


def call_helpers(run: Run) -> None:
    """Rings for workers to share a stage: lost or late bells cost time only, the sweep finds the run as well."""
    for helper in range(min(HELPERS, runs.progress(run).total - 1)):
        doorbell.ring(WORK_TASK, run_id=str(run.pk), helper=helper)
