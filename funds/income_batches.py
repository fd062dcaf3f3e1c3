"""One batch of an income run at a time: reading it for a stage, and posting it.

phase   what it does                                                                   cost, for n holders
claim   the first batch of the stage that nobody else holds                           one row, FOR UPDATE SKIP LOCKED
read    one scan of the accounts, grouped in the database                             n rows read, at most 1,000 come back
post    the accounts locked in id order, entries, postings, balances                  n rows written by one statement
check   what was posted against what was counted                                      two figures; a difference stops the run

Nothing in a worker's memory grows with the number of holders.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from funds import catalogue, income_sql, losses
from funds.arithmetic import RATE_DECIMALS
from funds.entitlement import ACCOUNTS_SQL, basis_params, end_of
from funds.flows import FUND_CORRECTION, FUND_INCOME
from funds.income_figures import Figures, Rule, Stage, figures_of, steps_in
from funds.models import Fund, FundDay
from superapp import runs
from superapp.ids import uuid7
from superapp.models import Run, RunBatch
from wallet.accounts import system_account
from wallet.flows import FUND_ISSUED, OWED
from wallet.ledger_sets import post_set

CLAIM_UNREAD_SQL = """
    SELECT b.id FROM superapp_runbatch b
    WHERE b.run_id = %(run)s AND b.state = %(state)s AND NOT b.figures ? %(mark)s
      AND EXISTS (SELECT FROM superapp_run r WHERE r.id = b.run_id AND r.state = 'counting'
                  AND r.figures ->> 'stage' = %(stage)s)
    ORDER BY b.position LIMIT 1
    FOR NO KEY UPDATE SKIP LOCKED
"""

POSTED_FIGURE = """
    UPDATE superapp_runbatch b
    SET figures = b.figures || jsonb_build_object('posted', coalesce((
        SELECT -sum(l.amount) FROM legs l WHERE l.account_id = %(fund_issued)s), 0)::text)
    WHERE b.id = %(batch)s
"""


class FiguresDisagree(ValueError):
    """What a batch would post, or holds, is not what was counted. Nothing of it is written; the run stops."""


def read_one(fund: Fund, run: Run, figures: Figures) -> bool:
    """Reads one batch for the stage the run is in; whether there was one to read."""
    readers: Mapping[str, Callable[[Fund, Run, RunBatch, Figures], dict[str, Any]]] = {
        Stage.SHARES: _read_shares,
        Stage.COUNT: _read_counts,
        Stage.TIES: _read_ties,
    }
    with transaction.atomic():
        batch = _claim(run, figures.stage)
        if batch is None:
            return False
        found = readers[figures.stage](fund, run, batch, figures)
        if figures.stage == Stage.COUNT:
            runs.finish_batch(batch, RunBatch.State.COUNTED, found)
        else:
            RunBatch.objects.filter(pk=batch.pk).update(figures={**batch.figures, **found})
    return True


def all_read(run: Run, stage: str) -> bool:
    """Whether every batch of the run has been read for the stage."""
    if stage == Stage.COUNT:
        return runs.all_batches_past(run, RunBatch.State.PLANNED)
    return not RunBatch.objects.filter(run=run).exclude(figures__has_key=MARKS[stage]).exists()


def all_posted(run: Run) -> bool:
    """Whether every batch of the run has been posted."""
    return runs.all_batches_past(run, RunBatch.State.COUNTED)


def post_one(fund: Fund, run: Run, figures: Figures) -> bool:
    """Posts one batch; whether there was one to post. Stops the run when the batch disagrees with what was counted."""
    try:
        with transaction.atomic():
            batch = runs.claim_batch(run.pk, RunBatch.State.COUNTED)
            if batch is None:
                return False
            _post(fund, run, batch, figures)
    except FiguresDisagree as fault:
        runs.stop(run, str(fault))
        return False
    return True


def nth_equal(fund: Fund, run: Run, batch: RunBatch, figures: Figures, *, fraction: int, nth: int) -> UUID:
    """The account that is the `nth` of a batch's holders with that cut fraction, in the order of ids."""
    params: dict[str, Any] = {**_params(fund, run, batch, new=_cut_only(figures)), "fraction": fraction, "nth": nth}
    with connection.cursor() as cursor:
        cursor.execute(income_sql.NTH_EQUAL_SQL, params)
        row = cursor.fetchone()
    if row is None:
        raise FiguresDisagree(f"Batch {batch.position} has fewer than {nth} holders with the fraction {fraction}.")
    return UUID(str(row[0]))


MARKS: Mapping[str, str] = {Stage.SHARES: "entitled", Stage.COUNT: "floors", Stage.TIES: "ties"}
"""The figure that tells that a batch has been read for a stage."""


def _claim(run: Run, stage: str) -> RunBatch | None:
    state = RunBatch.State.COUNTED if stage == Stage.TIES else RunBatch.State.PLANNED
    params: dict[str, Any] = {"run": run.pk, "state": state.value, "mark": MARKS[stage], "stage": str(stage)}
    with connection.cursor() as cursor:
        cursor.execute(CLAIM_UNREAD_SQL, params)
        row = cursor.fetchone()
    return RunBatch.objects.get(pk=row[0]) if row else None


def _read_shares(fund: Fund, run: Run, batch: RunBatch, _figures: Figures) -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute(income_sql.SHARES_SQL, _basis(fund, run, batch))
        _, shares = cursor.fetchone()
    return {"entitled": format(shares, "f")}


def _read_counts(fund: Fund, run: Run, batch: RunBatch, figures: Figures) -> dict[str, Any]:
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


def _read_ties(fund: Fund, run: Run, batch: RunBatch, figures: Figures) -> dict[str, Any]:
    if str(figures.bucket) not in batch.figures["fractions"]:
        return {"ties": {}}
    with connection.cursor() as cursor:
        params: dict[str, Any] = {**_params(fund, run, batch, new=_cut_only(figures)), "bucket": figures.bucket}
        cursor.execute(income_sql.TIES_SQL, params)
        return {"ties": {str(fraction): count for fraction, count in cursor.fetchall()}}


def _post(fund: Fund, run: Run, batch: RunBatch, figures: Figures) -> None:
    rule, base = figures.rule(), _base_rule(figures)
    amounts = income_sql.amounts_sql(
        steps=bool(rule.step), base=base is not None, base_steps=base is not None and bool(base.step)
    )
    params = {**_params(fund, run, batch, new=rule, old=base), "batch": batch.pk, "run": run.pk, "fund": fund.pk}
    shares = catalogue.share_asset(fund)
    params["fund_issued"] = system_account(FUND_ISSUED, shares, scope=fund.code)
    someone_may_lose = base is not None or rule.per_10k < 0 or rule.step < 0
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
    counted = Decimal(batch.figures["floors"]) + rule.step * steps_in(batch, figures) - Decimal(batch.figures["base"])
    posted = Decimal(batch.figures["posted"])
    if posted != counted:
        raise FiguresDisagree(
            f"Batch {batch.position} (accounts {batch.low} to {batch.high}) would post {posted}; {counted} was counted."
        )
    runs.finish_batch(batch, RunBatch.State.POSTED)


def _basis(fund: Fund, run: Run, batch: RunBatch) -> dict[str, Any]:
    frozen = FundDay.objects.get(fund=fund, day=run.day)
    return basis_params(fund, frozen, low=batch.low, high=batch.high)


def _params(fund: Fund, run: Run, batch: RunBatch, *, new: Rule, old: Rule | None = None) -> dict[str, Any]:
    decimals = catalogue.share_asset(fund).decimals
    return {
        **_basis(fund, run, batch),
        "decimals": decimals,
        "units": Decimal(10) ** (decimals + RATE_DECIMALS),
        **new.params("new_"),
        **(old.params("old_") if old else {}),
    }


def _cut_only(figures: Figures) -> Rule:
    return Rule(per_10k=figures.known_rate(), step=Decimal(0), threshold=None)


def _base_rule(figures: Figures) -> Rule | None:
    return None if figures.base is None else figures_of(Run.objects.get(pk=figures.base)).rule()


def _text(rows: list[tuple[Any, ...]], column: int) -> str:
    return format(sum((row[column] for row in rows), Decimal(0)), "f")
