"""Orders and income where they meet: days that were missed, orders taken back, figures that change at the wrong moment."""

import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.db import connection

from funds import income, later_income, order_sets, orders
from funds.income_figures import figures_of
from funds.models import Fund, FundOrder
from superapp import runs
from superapp.models import Run, User
from tests import factories
from tests.databases import TestDatabase
from tests.funds import scenes
from tests.waiting import PATIENCE_SECONDS, wait_until
from wallet.ledger_sets import post_set


def _a_holder(fund: Fund, amount: str, **named: str) -> User:
    """Who holds `amount` from 2013-07-02 on."""
    saver = scenes.a_saver(fund, amount, **named)
    with scenes.on("2013-07-01", "10:00"):
        scenes.buy(saver, fund, amount)
    with scenes.on("2013-07-02", "00:01"):
        scenes.sweep()
    return saver


def test_shares_do_not_leave_before_those_of_the_same_instant_have_come(committed_db: TestDatabase) -> None:
    """All means all, whichever worker comes by first."""
    fund = scenes.a_fund("2013-07-02")
    saver = _a_holder(fund, "100.00")
    factories.a_top_up(saver, "50.00")
    with scenes.on("2013-07-02", "10:00"):
        scenes.buy(saver, fund, "50.00")
        whole = scenes.sell(saver, fund, None)
    with scenes.on("2013-07-03", "00:01"):
        order_sets.leave_due()
        assert scenes.shares_of(saver, fund) == Decimal("100.00")
        scenes.sweep()

    assert scenes.shares_of(saver, fund) == 0
    assert scenes.order_of(whole).amount == Decimal("150.00")
    scenes.nothing_is_wrong()


def test_a_redemption_of_all_that_is_late_leaves_what_came_on_later_days(committed_db: TestDatabase) -> None:
    """Nobody came by for two days: what was bought for the second is no part of what left on the first."""
    fund = scenes.a_fund("2013-07-02")
    saver = _a_holder(fund, "10000.00")
    factories.a_top_up(saver, "5000.00")
    with scenes.on("2013-07-02", "10:00"):
        whole = scenes.sell(saver, fund, None)  # leaves on Wednesday
    with scenes.on("2013-07-03", "10:00"):
        scenes.buy(saver, fund, "5000.00")  # comes on Thursday
    with scenes.on("2013-07-05", "09:00"):
        scenes.publish(fund, {"2013-07-02": "1.0000", "2013-07-03": "1.0000", "2013-07-04": "1.0000"})
        while order_sets.confirm_due():
            pass
        scenes.sweep()

    assert scenes.order_of(whole).amount == Decimal("10000.00")
    assert scenes.shares_of(saver, fund) == Decimal("5000.50")
    assert scenes.incomes(saver, fund) == ["1.00", "0.50"]
    assert figures_of(scenes.run_of(fund, "2013-07-03")).shares == 0
    scenes.nothing_is_wrong()


def test_an_order_whose_hold_a_loss_has_taken_can_still_be_cancelled(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund("2013-07-02")
    saver = _a_holder(fund, "10000.00")
    with scenes.on("2013-07-02", "16:00"):  # belongs to Wednesday: until its cut-off it may be cancelled
        small = scenes.sell(saver, fund, "0.30")
        scenes.sell(saver, fund, "9999.70")
    with scenes.on("2013-07-03", "09:00"):
        scenes.publish(fund, {"2013-07-02": "-0.5000"})
        scenes.sweep()
        assert scenes.order_of(small).amount == 0
        orders.cancel(person_id=saver.id, order_id=small.order_id, key="a")

    assert scenes.order_of(small).state == FundOrder.State.CANCELLED
    scenes.nothing_is_wrong()


def test_a_figure_corrected_while_its_run_is_opened_is_not_paid_twice(
    committed_db: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two starters, and between their looks a correction: each would pay the whole day."""
    fund = scenes.a_fund("2013-07-02", leftover=Fund.Leftover.LEAVE_IN_FUND)
    saver = _a_holder(fund, "10000.00")
    with scenes.on("2013-07-03", "09:00"):
        scenes.publish(fund, {"2013-07-02": "1.0000"})
    reached, go_on = threading.Event(), threading.Event()
    open_run: Callable[..., Run] = runs.open_run

    def slowly(*args: Any, **options: Any) -> Run:
        if not reached.is_set():
            reached.set()
            assert go_on.wait(PATIENCE_SECONDS)
        return open_run(*args, **options)

    monkeypatch.setattr(runs, "open_run", slowly)

    def start() -> None:
        with scenes.on("2013-07-03", "09:00"):
            income.open_due_runs()
        connection.close()

    first = threading.Thread(target=start)
    first.start()
    assert reached.wait(PATIENCE_SECONDS)
    with scenes.on("2013-07-03", "09:00"):
        scenes.publish(fund, {"2013-07-02": "3.0000"}, revise=True)
    second = threading.Thread(target=start)
    second.start()
    wait_until(lambda: not second.is_alive() or _somebody_waits_for_a_lock(committed_db), what="the second starter")
    go_on.set()
    first.join()
    second.join()
    with scenes.on("2013-07-03", "09:01"):
        scenes.sweep()

    assert scenes.incomes(saver, fund) == ["1.00", "2.00"]
    assert scenes.shares_of(saver, fund) == Decimal("10003.00")
    scenes.nothing_is_wrong()


def test_a_day_is_not_frozen_while_a_correction_of_an_earlier_one_is_posted(committed_db: TestDatabase) -> None:
    """Else whether it earns on that day would depend on which batch a worker took first."""
    fund = scenes.a_fund("2013-07-02")
    _a_holder(fund, "10000.00")
    with scenes.on("2013-07-03", "09:00"):
        scenes.publish(fund, {"2013-07-02": "1.0000"})
        scenes.sweep()
    with scenes.on("2013-07-04", "09:00"):
        scenes.publish(fund, {"2013-07-02": "3.0000"}, revise=True)
        scenes.publish(fund, {"2013-07-03": "1.0000"})
        income.open_due_runs()
        run = scenes.run_of(fund, "2013-07-03")
        while income.step(run.pk):
            pass
        assert not scenes.is_paid(fund, "2013-07-03")
        scenes.pay_income()

    assert figures_of(scenes.run_of(fund, "2013-07-03")).shares == Decimal("10003.00")
    scenes.nothing_is_wrong()


def test_a_run_is_not_closed_while_later_income_is_left(
    committed_db: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker that finds its set taken by another looks again, for there may be a next one."""
    monkeypatch.setattr(later_income, "ORDERS_PER_SET", 1)
    fund = scenes.a_fund("2013-07-02")
    savers = [_a_holder(fund, "10000.00", name=name) for name in ("Li Lei", "Han Meimei")]
    with scenes.on("2013-07-02", "10:00"):
        for saver in savers:
            scenes.sell(saver, fund, None)
    with scenes.on("2013-07-03", "09:00"):
        order_sets.leave_due()
        scenes.publish(fund, {"2013-07-02": "1.0000"})
        run_id = income.open_due_runs()[0]
        wait_until(lambda: income.step(run_id) and scenes.run_of(fund, "2013-07-02").batches.filter(state="posted"))
    inserted, go_on = threading.Event(), threading.Event()

    def slowly(**options: Any) -> Any:
        if not inserted.is_set():
            inserted.set()
            assert go_on.wait(PATIENCE_SECONDS)
        return post_set(**options)

    monkeypatch.setattr(later_income, "post_set", slowly)

    def work() -> None:
        with scenes.on("2013-07-03", "09:00"):
            income.step(run_id)
        connection.close()

    workers = [threading.Thread(target=work) for _ in range(2)]
    workers[0].start()
    assert inserted.wait(PATIENCE_SECONDS)
    workers[1].start()
    wait_until(lambda: not workers[1].is_alive() or _somebody_waits_for_a_lock(committed_db), what="the second worker")
    go_on.set()
    for worker in workers:
        worker.join()
    with scenes.on("2013-07-03", "10:30"):
        scenes.sweep()
        scenes.sweep()

    assert [scenes.shares_of(saver, fund) for saver in savers] == [0, 0]
    assert [scenes.cash_of(saver) for saver in savers] == [Decimal("10001.00")] * 2
    scenes.nothing_is_wrong()


def test_counts_that_do_not_belong_together_stop_the_run(committed_db: TestDatabase) -> None:
    """Else it would fail again and again, and hold up the runs of every other fund."""
    fund = scenes.a_fund("2013-07-02")
    savers = [_a_holder(fund, amount) for amount in ("3333.33", "3333.33", "3333.34")]
    with scenes.on("2013-07-03", "09:00"):
        scenes.publish(fund, {"2013-07-02": "1.46"})
        run_id = income.open_due_runs()[0]
        wait_until(
            lambda: income.step(run_id) and scenes.run_of(fund, "2013-07-02").batches.filter(state="counted").first()
        )
        batch = scenes.run_of(fund, "2013-07-02").batches.get()
        batch.figures = {**batch.figures, "fractions": {}}
        batch.save(update_fields=["figures"])
        scenes.pay_income()

    run = scenes.run_of(fund, "2013-07-02")
    assert run.state == Run.State.STOPPED
    assert "2 steps for 0 holders" in run.fault
    assert [scenes.incomes(saver, fund) for saver in savers] == [[], [], []]


def _somebody_waits_for_a_lock(database: TestDatabase) -> bool:
    waiting = (
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    with psycopg.connect(database.url) as session:
        return session.execute(waiting).fetchone() == (True,)
