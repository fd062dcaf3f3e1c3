"""The batches of an income run: reading a few for a stage, and posting one.

phase   what it does                                                                   cost, for n holders
claim   the first batches of the stage that nobody else holds                         FOR NO KEY UPDATE SKIP LOCKED
read    one scan of the accounts, grouped in the database by the exact fractions      n rows read, a few hundred figures a
        where the day's last step is expected, which spares a second scan             batch, written where they were found
post    entry, postings, balances (`wallet.ledger_days`)                              n rows written by one statement
check   what was posted against what was counted                                      two figures
again   only where they differ, or where holders may lose: `ledger_sets.post_set`,    n rows locked, decided on and written
        accounts locked in id order; what differs still stops the run

Nothing in a worker's memory grows with the number of holders.
"""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import DataError, connection, transaction

from funds import catalogue, income_sql, losses
from funds.arithmetic import EXACT, RATE_DECIMALS, Y_DECIMALS, rate_of, step_of
from funds.entitlement import ACCOUNTS_SQL, basis_params, end_of
from funds.flows import FUND_CORRECTION, FUND_INCOME
from funds.income_figures import Figures, Rule, Stage, figures_of, is_known, steps_in
from funds.leftover import BUCKETS, crossing, expected, merged
from funds.models import Fund, FundDay
from superapp import runs, unit_of_work
from superapp.ids import uuid7
from superapp.models import Run, RunBatch
from wallet.accounts import system_account
from wallet.flows import FUND, FUND_ISSUED, OWED
from wallet.ledger_days import post_to_range
from wallet.ledger_sets import post_set

CLAIM_UNREAD_SQL = """
    SELECT b.* FROM superapp_runbatch b
    WHERE b.run_id = %(run)s AND b.state = %(state)s AND NOT b.figures ? %(mark)s
      AND EXISTS (SELECT FROM superapp_run r WHERE r.id = b.run_id AND r.state = 'counting'
                  AND r.figures ->> 'stage' = %(stage)s)
    ORDER BY b.position
    LIMIT (SELECT greatest(1, least(%(most)s, count(*) / %(parts)s)) FROM superapp_runbatch o
           WHERE o.run_id = %(run)s AND o.state = %(state)s AND NOT o.figures ? %(mark)s)
    FOR NO KEY UPDATE SKIP LOCKED
"""

READ_TOGETHER = 5
"""At most so many batches are read in one transaction, which writes nothing but their figures; near a stage's end fewer."""
MOST_EXACT = 2_000
"""About so many exact fractions may be kept of a batch: what is expected in more of its buckets is not looked for."""
PARTS_OF_THE_REST = 4
"""A claim takes no more than this part of what is left to read, so that workers end a stage together."""

POSTED_FIGURE = """
    UPDATE superapp_runbatch b
    SET figures = b.figures || jsonb_build_object('posted', coalesce((
        SELECT -sum(l.amount) FROM legs l WHERE l.account_id = %(fund_issued)s), 0)::text)
    WHERE b.id = %(batch)s
"""


class FiguresDisagree(ValueError):
    """What a batch would post, or holds, is not what was counted. Nothing of it is written; the run stops."""


Buckets = tuple[int, int]
"""The first and the last of a few buckets of cut fractions."""

Found = dict[int, dict[str, Any]]
"""What was read: the figures to add to each batch."""


class _PaidOtherwise(Exception):
    """The quick way paid something else than was counted: the locked way decides."""


def read_some(fund: Fund, run: Run, figures: Figures) -> bool:
    """Reads a few batches for the stage the run is in; whether there was one to read."""
    try:
        return _read_some(fund, run, figures, wide=False)
    except DataError:  # somebody's income does not fit
        return _read_some(fund, run, figures, wide=True)


def _read_some(fund: Fund, run: Run, figures: Figures, *, wide: bool) -> bool:
    counts_steps = figures.stage == Stage.COUNT and figures.base is None and _may_hand_out(figures)
    with transaction.atomic():
        near = _expected(run, figures) if counts_steps else None
        # What the first batch shows tells where to look in the others: so no more than one is read without knowing.
        batches = _claim(run, figures.stage, most=1 if counts_steps and near is None else READ_TOGETHER)
        if not batches:
            return False
        if figures.stage == Stage.SHARES:
            runs.add_figures(batches, _read_shares(fund, run, batches))
        elif figures.stage == Stage.TIES:
            runs.add_figures(batches, _read_ties(fund, run, batches, figures, wide=wide))
        elif figures.stage == Stage.FRACTIONS:
            runs.add_figures(batches, _counts(fund, run, batches, figures, near=None, wide=wide, whole=True))
        elif figures.base is not None:
            counts = _read_counts_of_correction(fund, run, batches, figures)
            runs.finish_batches(batches, RunBatch.State.COUNTED, counts)
        else:
            found = _counts(fund, run, batches, figures, near=near, wide=wide)
            runs.finish_batches(batches, RunBatch.State.COUNTED, found)
            if counts_steps and near is None:
                _look_where_expected(fund, run, batches, figures, wide=wide)
    return True


def all_read(run: Run, stage: str) -> bool:
    """Whether every batch of the run has been read for the stage."""
    if stage == Stage.COUNT:
        return runs.all_batches_past(run, RunBatch.State.PLANNED)
    return not RunBatch.objects.filter(run=run).exclude(figures__has_key=MARKS[stage]).exists()


def all_posted(run: Run) -> bool:
    """Whether every batch of the run has been posted."""
    return runs.all_batches_past(run, RunBatch.State.COUNTED)


def post_one(fund: Fund, run: Run) -> bool:
    """Posts one batch; whether there was one to post. Stops the run when the batch disagrees with what was counted.

    Its figures are read with the batch: the run in hand may be older than the operator's last word on it.
    """
    try:
        try:
            return _post_claimed(fund, run, quick=True)
        except _PaidOtherwise:
            return _post_claimed(fund, run, quick=False)
    except FiguresDisagree as fault:
        runs.stop(run, str(fault))
        return False


def _post_claimed(fund: Fund, run: Run, *, quick: bool) -> bool:
    with transaction.atomic():
        batch = runs.claim_batch(run.pk, RunBatch.State.COUNTED)
        if batch is None:
            return False
        figures = figures_of(batch.run)
        only_gains = figures.base is None and figures.known_rate() > 0 and (figures.steps or 0) >= 0
        posted = (_pay_without_lock_pass if quick and only_gains else _post_under_locks)(fund, run, batch, figures)
        runs.finish_batch(batch, RunBatch.State.POSTED, {"posted": format(posted, "f")})
    return True


def to_post(batch: RunBatch, figures: Figures) -> Decimal:
    """What a batch is to post, by what was counted: for a correction the difference to what its base paid."""
    return (
        Decimal(batch.figures["floors"])
        + figures.rule().step * steps_in(batch, figures)
        - Decimal(batch.figures["base"])
    )


def nth_equal(fund: Fund, run: Run, batch: RunBatch, figures: Figures, *, fraction: int, nth: int) -> UUID:
    """The account that is the `nth` of a batch's holders with that cut fraction, in the order of ids."""
    params: dict[str, Any] = {**_params(fund, run, batch, new=_cut_only(figures)), "fraction": fraction, "nth": nth}
    with connection.cursor() as cursor:
        cursor.execute(income_sql.NTH_EQUAL_SQL, params)
        row = cursor.fetchone()
    if row is None:
        raise FiguresDisagree(f"Batch {batch.position} has fewer than {nth} holders with the fraction {fraction}.")
    return UUID(str(row[0]))


_LAST = UUID(int=2**128 - 1)

MARKS: Mapping[str, str] = {
    Stage.SHARES: "entitled",
    Stage.COUNT: "floors",
    Stage.FRACTIONS: "whole",
    Stage.TIES: "ties",
}
"""The figure that tells that a batch has been read for a stage."""


def _claim(run: Run, stage: str, *, most: int) -> list[RunBatch]:
    state = RunBatch.State.PLANNED if stage in (Stage.SHARES, Stage.COUNT) else RunBatch.State.COUNTED
    params: dict[str, Any] = {
        "run": run.pk,
        "state": state.value,
        "mark": MARKS[stage],
        "stage": str(stage),
        "most": most,
        "parts": PARTS_OF_THE_REST,
    }
    return list(RunBatch.objects.raw(CLAIM_UNREAD_SQL, params))


def _expected(run: Run, figures: Figures) -> Buckets | None:
    """Where the last step is expected by the batches that are counted; the same for all that one message reads.

    None while nothing tells, where too much would have to be kept, or where the batches speak of a bucket beside the ones
    that they have looked into: then one more is counted whole, which puts the guess right.
    """
    remembered_as = ("income's last step", run.pk)
    known: Buckets | None = unit_of_work.known(remembered_as)
    if known is None:
        counted = RunBatch.objects.filter(run=run, state=RunBatch.State.COUNTED).order_by("position")[:READ_TOGETHER]
        found = list(counted.values_list("figures", flat=True))
        shares, floors = (
            sum((Decimal(batch[figure]) for batch in found), Decimal(0)) for figure in ("shares", "floors")
        )
        over = EXACT.multiply(shares, rate_of(figures.known_rate())) - floors
        steps = abs(int(over / step_of(figures.decimals)))
        known = _worth_looking(found, steps=steps, accounts=figures.batch_accounts or 0)
        unit_of_work.know(remembered_as, known)
    return known


def _worth_looking(counted: Sequence[Mapping[str, Any]], *, steps: int, accounts: int) -> Buckets | None:
    counts = merged(batch["fractions"] for batch in counted)
    near = expected(counts, steps=steps)
    if near is None or (near[1] - near[0] + 1) * accounts > MOST_EXACT * BUCKETS:
        return None
    place = crossing(counts, steps=steps).place
    return near if all(is_known(batch, place) for batch in counted) else None


def _look_where_expected(fund: Fund, run: Run, batches: Sequence[RunBatch], figures: Figures, *, wide: bool) -> None:
    """For the first batch, which had to be counted before it could be told where to look."""
    near = _expected(run, figures)
    if near is None:
        return
    found = _exact_fractions(fund, run, batches, figures, buckets=near, wide=wide)
    first, last = near
    runs.add_figures(
        batches,
        {batch: {"near": {"first": first, "last": last, "fractions": exact}} for batch, exact in found.items()},
    )


def _read_shares(fund: Fund, run: Run, batches: Sequence[RunBatch]) -> Found:
    found: Found = {}
    with connection.cursor() as cursor:
        for batch in batches:
            cursor.execute(income_sql.SHARES_SQL, _basis(fund, run, batch))
            _, shares = cursor.fetchone()
            found[batch.pk] = {"entitled": format(shares, "f")}
    return found


def _counts(
    fund: Fund,
    run: Run,
    batches: Sequence[RunBatch],
    figures: Figures,
    *,
    near: Buckets | None,
    wide: bool,
    whole: bool = False,
) -> runs.Query:
    """What is counted goes to the batches' rows without coming here: bringing it cost a third of what counting did."""
    params = _params_of_several(fund, run, batches, figures)
    if near is None:
        return runs.Query(income_sql.counts_sql(fractions=_may_hand_out(figures), wide=wide, whole=whole), params)
    params["first"], params["last"] = near
    return runs.Query(income_sql.counts_near_sql(wide=wide), params)


def _read_counts_of_correction(fund: Fund, run: Run, batches: Sequence[RunBatch], figures: Figures) -> Found:
    return {batch.pk: _read_counts_of_one(fund, run, batch, figures) for batch in batches}


def _read_counts_of_one(fund: Fund, run: Run, batch: RunBatch, figures: Figures) -> dict[str, Any]:
    base = _base_rule(figures)
    statement = income_sql.count_sql(
        fractions=figures.hands_out, base=base is not None, base_steps=base is not None and bool(base.step)
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, _params(fund, run, batch, new=_cut_only(figures), old=base))
        rows = cursor.fetchall()
    found: dict[str, Any] = {
        "holders": sum(row[1] for row in rows),
        "shares": _text(rows, 2),
        "floors": _text(rows, 3),
        "base": _text(rows, 4),
    }
    if figures.hands_out:
        found["fractions"] = {str(row[0]): row[1] for row in rows}
    return found


def _read_ties(fund: Fund, run: Run, batches: Sequence[RunBatch], figures: Figures, *, wide: bool) -> Found:
    with_bucket = [batch for batch in batches if str(figures.bucket) in batch.figures["fractions"]]
    found: Found = {batch.pk: {"ties": {}} for batch in batches}
    if with_bucket:
        bucket = figures.bucket or 0
        exact = _exact_fractions(fund, run, with_bucket, figures, buckets=(bucket, bucket), wide=wide)
        found.update({batch_id: {"ties": ties} for batch_id, ties in exact.items()})
    return found


def _exact_fractions(
    fund: Fund, run: Run, batches: Sequence[RunBatch], figures: Figures, *, buckets: Buckets, wide: bool
) -> dict[int, dict[str, int]]:
    params = {**_params_of_several(fund, run, batches, figures), "first": buckets[0], "last": buckets[1]}
    with connection.cursor() as cursor:
        cursor.execute(income_sql.ties_sql(wide=wide), params)
        return {batch_id: _read(fractions) for batch_id, fractions in cursor.fetchall()}


def _pay_without_lock_pass(fund: Fund, run: Run, batch: RunBatch, figures: Figures) -> Decimal:
    """The quick way, for a day on which nobody loses. Raises _PaidOtherwise, and then must not commit."""
    rule, shares = figures.rule(), catalogue.share_asset(fund)
    below, reached = (rule.lifted(decimals=shares.decimals, reached=reached) for reached in (False, True))
    last = _LAST if rule.threshold is None or rule.threshold.account is None else rule.threshold.account
    paid = post_to_range(
        kind=FUND_INCOME,
        account_kind=FUND,
        asset=shares,
        low=batch.low,
        high=batch.high,
        amount=income_sql.PAID_SQL,
        condition=income_sql.IS_PAID_SQL,
        params={
            **_params(fund, run, batch, new=rule),
            "last": last,
            "by": below.by,
            "least": below.least,
            "reached_by": reached.by,
            "reached_least": reached.least,
        },
        against=system_account(FUND_ISSUED, shares, scope=fund.code),
        entry=uuid7(),
        subject=run.pk,
        effective_at=end_of(fund, run.day),
    )
    if paid.amount != to_post(batch, figures):
        raise _PaidOtherwise
    return paid.amount


def _post_under_locks(fund: Fund, run: Run, batch: RunBatch, figures: Figures) -> Decimal:
    """The locked way, for every day. Raises FiguresDisagree, and then must not commit."""
    rule, base = figures.rule(), _base_rule(figures)
    amounts = income_sql.amounts_sql(
        steps=bool(rule.step), base=base is not None, base_steps=base is not None and bool(base.step)
    )
    params = {**_params(fund, run, batch, new=rule, old=base), "batch": batch.pk, "run": run.pk, "fund": fund.pk}
    shares = catalogue.share_asset(fund)
    params["fund_issued"] = system_account(FUND_ISSUED, shares, scope=fund.code)
    someone_may_lose = _someone_may_lose(rule, base)
    if someone_may_lose:
        params["owed"] = system_account(OWED, shares, scope=fund.code)
        losses.make_room(amounts=amounts, params=params)
    post_set(
        kind=FUND_CORRECTION if someone_may_lose else FUND_INCOME,
        legs=income_sql.loss_legs(amounts) if someone_may_lose else income_sql.income_legs(amounts),
        accounts=ACCOUNTS_SQL,
        params=params,
        one_entry=uuid7(),
        subject=run.pk,
        effective_at=end_of(fund, run.day),
        one_leg_per_account=True,
        then=[POSTED_FIGURE],
    )
    batch.refresh_from_db(fields=["figures"])
    counted = to_post(batch, figures)
    posted = Decimal(batch.figures["posted"])
    if posted != counted:
        raise FiguresDisagree(
            f"Batch {batch.position} (accounts {batch.low} to {batch.high}) would post {posted}; {counted} was counted."
        )
    return posted


def _someone_may_lose(rule: Rule, base: Rule | None) -> bool:
    """Whether the day is posted as a correction, whose row of the flow table alone lets shares leave a holder.

    So it is for a correction, and also for a first figure that is negative, or whose step takes a cent back: the remainder of
    the day before was below zero. Then room is made under holds, and what a holder lacks is owed (`funds.losses`).
    """
    return base is not None or rule.per_10k < 0 or rule.step < 0


def _basis(fund: Fund, run: Run, batch: RunBatch) -> dict[str, Any]:
    # What is frozen stays as it is: one look a message is enough.
    frozen = unit_of_work.remember(
        ("frozen day", fund.pk, run.day), lambda: FundDay.objects.get(fund=fund, day=run.day, frozen_at__isnull=False)
    )
    return basis_params(fund, frozen, low=batch.low, high=batch.high)


def _params_of_several(fund: Fund, run: Run, batches: Sequence[RunBatch], figures: Figures) -> dict[str, Any]:
    """Where y is zero, shares are counted as if it were its smallest step, and come to nothing."""
    y, step = int(figures.known_rate().scaleb(Y_DECIMALS)), step_of(figures.decimals)
    return {
        **_basis(fund, run, batches[0]),
        "ids": [batch.pk for batch in batches],
        "lows": [batch.low for batch in batches],
        "highs": [batch.high for batch in batches],
        "rate_units": (y or 1) * 10**figures.decimals,
        "step_units": y or 1,
        "step": step,
        "paid_step": step if y else Decimal(0),
    }


def _params(fund: Fund, run: Run, batch: RunBatch, *, new: Rule, old: Rule | None = None) -> dict[str, Any]:
    decimals = catalogue.share_asset(fund).decimals
    return {
        **_basis(fund, run, batch),
        "decimals": decimals,
        "units": Decimal(10) ** (decimals + RATE_DECIMALS),
        **new.params("new_"),
        **(old.params("old_") if old else {}),
    }


def _may_hand_out(figures: Figures) -> bool:
    return figures.hands_out and figures.known_rate() != 0


def _cut_only(figures: Figures) -> Rule:
    return Rule(per_10k=figures.known_rate(), step=Decimal(0), threshold=None)


def _base_rule(figures: Figures) -> Rule | None:
    return None if figures.base is None else figures_of(Run.objects.get(pk=figures.base)).rule()


def _read(found: str | Mapping[str, int]) -> dict[str, int]:
    counts: dict[str, int] = json.loads(found) if isinstance(found, str) else dict(found)
    return counts


def _text(rows: list[tuple[Any, ...]], column: int) -> str:
    return format(sum((row[column] for row in rows), Decimal(0)), "f")
