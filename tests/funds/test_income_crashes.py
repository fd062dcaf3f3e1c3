"""X02 for the daily run: killed at every step, or worked on by many at once, it ends as an undisturbed one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest

from funds import income, income_batches, income_days, later_income, leftover
from funds.models import Fund
from superapp import policies, runs
from superapp.models import Run, User
from tests.databases import TestDatabase
from tests.funds import model, scenes
from tests.many import at_once
from tests.waiting import wait_until
from wallet.models import Account, Posting

AMOUNTS = ["3333.33", "3333.33", "3333.34", "100.07", "7000.00", "0.01", "3333.33"]


class Killed(BaseException):
    """The worker is gone; nothing in the code may catch this."""


def _a_fund_with_a_day_to_pay() -> tuple[Fund, list[User]]:
    """Seven holders in batches of two, one of whom redeems all, and a day whose figure is known."""
    fund = scenes.a_fund("2013-07-02")
    with scenes.on("2013-06-01"):
        policies.change(policy="funds.income_batch_accounts", value=2)
    savers = []
    for number, amount in enumerate(AMOUNTS):
        savers.append(scenes.a_saver(fund, amount, name=f"saver {number}"))
        with scenes.on("2013-07-01", "10:00"):
            scenes.buy(savers[-1], fund, amount)
    with scenes.on("2013-07-02", "10:00"):
        scenes.sweep()
        scenes.sell(savers[2], fund, None)
    with scenes.on("2013-07-03", "00:00"):
        scenes.sweep()
        scenes.publish(fund, {"2013-07-02": "1.46"})
    return fund, savers


@contextmanager
def _killed_at(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, *, after: bool, turn: int) -> Iterator[None]:
    """The worker dies before or after the `turn`-th call of a function, whose transaction is lost with it."""
    original: Callable[..., Any] = getattr(module, name)
    calls = 0

    def dying(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == turn and not after:
            raise Killed
        answer = original(*args, **options)
        if calls == turn and after:
            raise Killed
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(module, name, dying)
        if name == "add_figures":
            # Where the last step was not expected all fractions are read again, then its bucket is looked at, unless it
            # gets a step as a whole.
            patched.setattr(income_batches, "_expected", lambda *_: (0, 0))
            patched.setattr(leftover.Crossing, "takes_all", False)
        yield


DEATHS: list[tuple[Any, str, bool, int]] = [
    (income_batches, "nth_equal", True, 1),
    (later_income, "post_set", True, 1),
    (runs, "plan_batches", True, 1),
    (runs, "advance", True, 1),  # planned
    (runs, "advance", True, 2),  # counted
    (runs, "advance", True, 3),  # closed
    (runs, "finish_batches", False, 1),
    (runs, "finish_batches", True, 3),
    (income_batches, "_look_where_expected", True, 1),
    (runs, "add_figures", True, 3),  # fractions
    (runs, "add_figures", False, 7),  # ties
    (runs, "finish_batch", False, 1),
    (runs, "finish_batch", True, 3),
    (income_batches, "post_to_range", False, 2),
    (income_batches, "post_to_range", True, 4),
    (income_days, "close", False, 1),
]


def test_killed_anywhere_the_run_ends_as_if_nothing_had_happened(
    committed_db: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A day for each death; what is paid is compared with a model that never dies."""
    fund, savers = _a_fund_with_a_day_to_pay()
    remainder = Fraction(0)
    for number, (module, name, after, turn) in enumerate(DEATHS):
        day = date(2013, 7, 2) + timedelta(days=number)
        entitled = _shares() if number else _bought(fund, savers)
        if module is later_income:
            with scenes.on(day.isoformat(), "10:00"):
                scenes.sell(savers[3], fund, None)
            with scenes.on((day + timedelta(days=1)).isoformat(), "00:00"):
                scenes.sweep()
        with scenes.on((day + timedelta(days=1)).isoformat(), "09:00"):
            scenes.publish(fund, {day.isoformat(): "1.46"})
            with _killed_at(monkeypatch, module, name, after=after, turn=turn), pytest.raises(Killed):
                scenes.pay_income()
            assert not scenes.is_paid(fund, day.isoformat())
            scenes.pay_income()
        expected = model.day(entitled=entitled, y=Fraction("1.46"), remainder=remainder)
        remainder = expected.remainder
        assert _paid(scenes.run_of(fund, day.isoformat())) == expected.incomes
        scenes.nothing_is_wrong()


def test_four_workers_at_once_pay_everyone_once(committed_db: TestDatabase) -> None:
    fund, savers = _a_fund_with_a_day_to_pay()

    def work() -> int:
        with scenes.on("2013-07-03", "09:00"):
            return sum(income.work(run, seconds=30) for run in income.open_due_runs())

    def paid() -> bool:
        results = at_once([work] * 4)
        assert not [result for result in results if isinstance(result, Exception)]
        return scenes.is_paid(fund, "2013-07-02")

    wait_until(paid, 60)
    assert Run.objects.count() == 1
    assert runs.progress(Run.objects.get()).done == 4
    entitled = _bought(fund, savers)
    assert _paid(Run.objects.get()) == model.day(entitled=entitled, y=Fraction("1.46")).incomes
    scenes.nothing_is_wrong()


def _bought(fund: Fund, savers: list[User]) -> dict[UUID, Fraction]:
    return {
        scenes.shares_account(saver, fund).id: Fraction(amount) for saver, amount in zip(savers, AMOUNTS, strict=True)
    }


def _shares() -> dict[UUID, Fraction]:
    return {account.id: Fraction(account.balance) for account in Account.objects.filter(kind="fund")}


def _paid(run: Run) -> dict[UUID, Fraction]:
    postings = Posting.objects.filter(subject=run.pk, account__kind="fund")
    return {posting.account_id: Fraction(posting.amount) for posting in postings}
