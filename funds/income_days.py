"""What an income run decides for its day as a whole: its batches, its threshold, its totals, its close."""

from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from funds import catalogue, income_batches, income_sql, later_income, shortfalls
from funds.arithmetic import EXACT, derived_yield, distributable, rate_of, step_of
from funds.entitlement import end_of
from funds.flows import FUND_INCOME_CARRIED
from funds.income_figures import INCOME_RUN, Figures, Stage, exact_in, figures_of, is_known, read
from funds.leftover import BUCKET_WIDTH, crossing, crossing_batch, merged
from funds.models import Fund, FundDay
from funds.policies import INCOME_BATCH_ACCOUNTS
from superapp import runs
from superapp.models import Run, RunBatch
from wallet.accounts import system_account
from wallet.balances import balance_of
from wallet.flows import FUND_ISSUED, FUND_UNDISTRIBUTED
from wallet.ledger import Leg, Plan, post

_S = Run.State
_FIRST = UUID(int=0)


def decimals_of(fund: Fund) -> int:
    """Decimals of the fund's shares."""
    return catalogue.share_asset(fund).decimals


def plan(fund: Fund, run: Run) -> bool:
    """Cuts the fund's accounts into batches and lets the counting begin; whether this call did it."""
    figures = figures_of(run)
    with transaction.atomic():
        # Of two planners the second waits here and finds the run moved on.
        if not Run.objects.select_for_update(no_key=True).filter(pk=run.pk, state=_S.OPEN).exists():
            return False
        size = INCOME_BATCH_ACCOUNTS.now(fund.code).value
        runs.plan_batches(run, _ranges(fund, size=size))
        figures = figures.with_(batch_accounts=size)
        figures = figures.with_(stage=Stage.COUNT if figures.per_10k is not None else Stage.SHARES)
        if figures.base is None:
            figures = figures.with_(remainder_before=_remainder_before(fund, run))
        else:
            base = figures_of(Run.objects.get(pk=figures.base))
            figures = figures.with_(
                remainder_before=base.remainder_before, brought_forward=base.brought_forward, leftover=base.leftover
            )
        return runs.advance(run, _S.OPEN, _S.COUNTING, figures.stored())


def finish_stage(fund: Fund, run: Run, figures: Figures) -> bool:
    """Works out what the batches' figures come to, and moves the run to its next stage; whether this call did it."""
    if figures.stage == Stage.SHARES:
        return _move(fund, run, figures, _with_derived_yield(fund, run, figures))
    if figures.stage == Stage.COUNT:
        return _move(fund, run, figures, _with_totals(run, figures))
    if figures.stage == Stage.FRACTIONS:
        return _move(fund, run, figures, _with_bucket(run, figures))
    return _move(fund, run, figures, _with_threshold(fund, run, figures, _exact(run, figures)))


def collect_shortfalls(fund: Fund, run: Run) -> bool:
    """Collects what one set of holders owes from what the run paid them; whether there was one."""
    return shortfalls.collect(fund=fund, run=run) > 0


def send_later_income_on(fund: Fund, run: Run) -> bool:
    """Sends one set of incomes of holdings that were redeemed whole on to cash; whether there was one."""
    return later_income.send_on(fund=fund, run=run) > 0


def close(fund: Fund, run: Run) -> bool:
    """Checks the day's totals, posts what is carried, and marks the day paid. Stops the run when a total disagrees."""
    figures = figures_of(run)
    base = _base_of(figures)
    fault = _fault_of_totals(
        figures, base, base_counted=runs.total(run, "base"), total=runs.total(run, "posted"), did="posted"
    )
    if fault is not None:
        runs.stop(run, fault)
        return False
    with transaction.atomic():
        if not runs.advance(run, _S.POSTING, _S.CLOSED):
            return False
        carried = (figures.carried or Decimal(0)) - figures.brought_forward
        if base is not None:
            carried -= (base.carried or Decimal(0)) - base.brought_forward
        if carried:
            _post_carried(fund, run, carried)
        FundDay.objects.filter(fund=fund, day=run.day).update(closed_by=run, per_10k=figures.per_10k)
    return True


def _ranges(fund: Fund, *, size: int) -> Iterator[tuple[UUID, UUID]]:
    """The ranges of the run before, without gaps, and new ones from its last on: accounts are never deleted, ids ascend.

    Cutting afresh would read every account once more. It happens for a fund's first run, after a change of the policy,
    and when a range has outgrown it.
    """
    before = _lows_of_the_run_before(fund, size=size)
    lows = [_FIRST, *before[1:]]
    yield from ((low, UUID(int=following.int - 1)) for low, following in pairwise(lows))
    yield from _ranges_from(fund, first=lows[-1], size=size)


def _lows_of_the_run_before(fund: Fund, *, size: int) -> list[UUID]:
    before = Run.objects.filter(kind=INCOME_RUN, scope=fund.code, state=_S.CLOSED).order_by("-opened_at", "-pk").first()
    if before is None or figures_of(before).batch_accounts != size:
        return []
    batches = list(RunBatch.objects.filter(run=before).order_by("position").values_list("low", "figures__holders"))
    return [] if any(holders > size for _, holders in batches) else [low for low, _ in batches]


def _ranges_from(fund: Fund, *, first: UUID, size: int) -> Iterator[tuple[UUID, UUID]]:
    params: dict[str, Any] = {"asset": catalogue.share_asset(fund).id, "size": size, "first": first}
    with connection.cursor() as cursor:
        cursor.execute(income_sql.RANGES_SQL, params)
        low: UUID | None = None
        for account, begins, ends in cursor.fetchall():
            low = account if begins else low
            if ends and low is not None:
                yield low, account


def _remainder_before(fund: Fund, run: Run) -> Decimal:
    before = FundDay.objects.filter(fund=fund, day__lt=run.day).order_by("-day").select_related("closed_by").first()
    if before is None or before.closed_by is None:
        return Decimal(0)
    return figures_of(before.closed_by).remainder or Decimal(0)


def _move(fund: Fund, run: Run, came_from: Figures, figures: Figures) -> bool:
    """A conditional move between stages, so that of two workers who finish one the second changes nothing.

    Raises ValueError instead of letting the posting begin on totals that disagree.
    """
    with transaction.atomic():
        locked = Run.objects.select_for_update(no_key=True).get(pk=run.pk)
        if locked.state != _S.COUNTING or read(locked.figures).stage != came_from.stage:
            return False
        if figures.stage == Stage.TIES and came_from.stage != Stage.TIES:
            figures = _with_threshold_if_counted(fund, run, figures)
        if figures.stage == Stage.DONE:
            _check_before_posting(run, figures)
            return runs.advance(locked, _S.COUNTING, _S.POSTING, figures.stored())
        Run.objects.filter(pk=run.pk).update(figures={**locked.figures, **figures.stored()})
    return True


def _with_derived_yield(fund: Fund, run: Run, figures: Figures) -> Figures:
    if figures.net_income is None:
        raise ValueError(f"{run} has neither y nor a net income.")
    brought_forward = figures.brought_forward
    if figures.base is None and figures.leftover == Fund.Leftover.CARRY:
        brought_forward = balance_of(
            system_account(FUND_UNDISTRIBUTED, catalogue.share_asset(fund), scope=fund.code)
        ).quantize(step_of(figures.decimals))
    per_10k = derived_yield(
        net_income=figures.net_income, brought_forward=brought_forward, entitled_total=runs.total(run, "entitled")
    )
    return figures.with_(per_10k=per_10k, brought_forward=brought_forward, stage=Stage.COUNT)


def _with_totals(run: Run, figures: Figures) -> Figures:
    """The day's totals by what was counted, and either the threshold or the bucket in which it lies."""
    shares, floors = runs.total(run, "shares"), runs.total(run, "floors").quantize(step_of(figures.decimals))
    day = distributable(
        exact_total=EXACT.multiply(shares, rate_of(figures.known_rate())),
        remainder_before=figures.remainder_before,
        decimals=figures.decimals,
    )
    figures = figures.with_(
        holders=int(runs.total(run, "holders")),
        shares=shares,
        floors=floors,
        distributable=day.amount,
        remainder=day.remainder,
        steps=0,
        paid=floors,
        carried=Decimal(0),
        left=Decimal(0),
        stage=Stage.DONE,
    )
    over = day.amount - floors
    match figures.leftover:
        case Fund.Leftover.CARRY:
            available = figures.net_income or Decimal(0)
            return figures.with_(
                distributable=available, remainder=Decimal(0), carried=available + figures.brought_forward - floors
            )
        case Fund.Leftover.LEAVE_IN_FUND:
            return figures.with_(left=over)
    steps = int(over / step_of(figures.decimals))
    figures = figures.with_(steps=steps, paid=floors + over)
    return _with_bucket(run, figures) if steps else figures


def _with_bucket(run: Run, figures: Figures) -> Figures:
    """The bucket in which the last step falls, and the threshold if everyone in it gets one.

    Batches that were told where to look have all other holders in the two buckets beside it: what comes out is right where
    each of them looked, else the fractions are read again, each by itself.
    """
    place = crossing(merged(batch["fractions"] for batch in _figures(run)), steps=abs(figures.steps or 0))
    if not all(is_known(batch, place.place) for batch in _figures(run)):
        return figures.with_(stage=Stage.FRACTIONS)
    figures = figures.with_(bucket=place.place, wanted=place.wanted)
    if place.takes_all:
        return figures.with_(fraction=place.place * BUCKET_WIDTH, stage=Stage.DONE)
    return figures.with_(stage=Stage.TIES)


def _with_threshold_if_counted(fund: Fund, run: Run, figures: Figures) -> Figures:
    """The threshold where the last step fell where it was expected, in every batch; else the bucket is read for itself."""
    try:
        exact = _exact(run, figures)
    except ValueError:
        return figures
    return _with_threshold(fund, run, figures, exact)


def _exact(run: Run, figures: Figures) -> list[dict[str, int]]:
    """Of each batch, in the order of account ids, the exact fractions in the last step's bucket."""
    found = [exact_in(batch, figures.bucket or 0) for batch in _figures(run)]
    exact = [fractions for fractions in found if fractions is not None]
    if len(exact) < len(found):
        raise ValueError("The exact fractions of a batch are not known.")
    return exact


def _with_threshold(fund: Fund, run: Run, figures: Figures, exact: list[dict[str, int]]) -> Figures:
    place = crossing(merged(exact), steps=figures.wanted or 0)
    figures = figures.with_(fraction=place.place, stage=Stage.DONE)
    if place.takes_all:
        return figures
    equal = ((number, fractions.get(str(place.place), 0)) for number, fractions in enumerate(exact))
    position, nth = crossing_batch(equal, wanted=place.wanted)
    batch = RunBatch.objects.get(run=run, position=position)
    account = income_batches.nth_equal(fund, run, batch, figures, fraction=place.place, nth=nth)
    return figures.with_(account=account, tie_position=position, tie_wanted=nth)


def _figures(run: Run) -> Iterator[dict[str, Any]]:
    """The batches' figures, in the order of their account ids, a few at a time."""
    return (batch.figures for batch in _batches(run))


def _batches(run: Run) -> Iterator[RunBatch]:
    return RunBatch.objects.filter(run=run).order_by("position").iterator(chunk_size=50)


def _base_of(figures: Figures) -> Figures | None:
    return figures_of(Run.objects.get(pk=figures.base)) if figures.base else None


def _check_before_posting(run: Run, figures: Figures) -> None:
    """Each batch is posted only as it was counted, so totals that agree here are what the day comes to."""
    to_post = sum((income_batches.to_post(batch, figures) for batch in _batches(run)), Decimal(0))
    fault = _fault_of_totals(
        figures, _base_of(figures), base_counted=runs.total(run, "base"), total=to_post, did="would post"
    )
    if fault is not None:
        raise ValueError(fault)


def _fault_of_totals(
    figures: Figures, base: Figures | None, *, base_counted: Decimal, total: Decimal, did: str
) -> str | None:
    """What is wrong with the day as a whole, `total` being what its batches would post or posted."""
    if base is not None and base_counted != base.paid:
        return f"The base run paid {base.paid}, by this run's count it had paid {base_counted}."
    paid = (figures.paid or Decimal(0)) - ((base.paid or Decimal(0)) if base else Decimal(0))
    if total != paid:
        return f"The batches {did} {total}, the day's figures pay {paid}; compare the batches' figures one by one."
    if not figures.conserved():
        return (
            f"paid {figures.paid} + carried {figures.carried} + left {figures.left} is not distributable "
            f"{figures.distributable} + brought forward {figures.brought_forward}."
        )
    return None


def _post_carried(fund: Fund, run: Run, carried: Decimal) -> None:
    shares = catalogue.share_asset(fund)
    legs = [
        Leg(system_account(FUND_ISSUED, shares, scope=fund.code), -carried),
        Leg(system_account(FUND_UNDISTRIBUTED, shares, scope=fund.code), carried),
    ]
    post(Plan(kind=FUND_INCOME_CARRIED, subject=run.pk, legs=legs, effective_at=end_of(fund, run.day)))
