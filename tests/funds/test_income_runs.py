"""F15 and what surrounds it: late and corrected figures, income after leaving, what a frozen day refuses."""

import threading
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from uuid import UUID

import pytest
from django.db import DatabaseError, connection, transaction

from funds import catalogue, entitlement, income, income_batches, income_days, order_sets, tasks, yields
from funds.errors import BackdatedIntoFrozenDay
from funds.income_figures import figures_of
from funds.models import Fund, FundDay, FundOrder
from superapp import doorbell, runs
from superapp.models import Run, RunBatch, User
from tests.databases import TestDatabase
from tests.funds import scenes
from tests.waiting import PATIENCE_SECONDS, wait_until
from wallet.models import JournalEntry, Posting


def _a_holder(fund: Fund, amount: str = "10000.00", **named: str) -> User:
    """Who holds `amount` from 2013-07-02 on."""
    saver = scenes.a_saver(fund, amount, **named)
    with scenes.on("2013-07-01", "10:00"):
        scenes.buy(saver, fund, amount)
    with scenes.on("2013-07-02", "00:01"):
        scenes.sweep()
    return saver


def test_nothing_is_paid_before_the_day_is_over(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund("2013-07-02")
    saver = _a_holder(fund)
    with scenes.on("2013-07-02", "23:59:59.999999"):
        scenes.publish(fund, {"2013-07-02": "1.5461"})
        scenes.pay_income()
    assert scenes.incomes(saver, fund) == []
    with scenes.on("2013-07-03", "00:00"):
        scenes.pay_income()
    assert scenes.incomes(saver, fund) == ["1.54"]


def test_whoever_ends_a_day_calls_for_the_next_one_if_its_figure_is_there(
    committed_db: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Days that were missed follow one another at once, and not one a sweep."""
    fund = scenes.a_fund("2013-07-02")
    _a_holder(fund)
    with scenes.on("2013-07-04", "09:00"):
        scenes.publish(fund, {"2013-07-02": "1.5461", "2013-07-03": "1.4670"})
        rung: list[str] = []
        monkeypatch.setattr(doorbell, "ring", lambda task, **_: rung.append(task))
        (first,) = income.open_due_runs()
        income.work(first, seconds=PATIENCE_SECONDS)
        assert (Run.objects.get().state, rung) == (Run.State.CLOSED, [income.PAY_TASK])
        tasks.pay_income()

    assert [run.state for run in Run.objects.order_by("day")] == [Run.State.CLOSED, Run.State.CLOSED]
    assert rung == [income.PAY_TASK]


def test_a_late_figure_is_paid_late_with_the_right_effective_day(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund("2013-07-02", leftover=Fund.Leftover.LEAVE_IN_FUND)
    saver = _a_holder(fund)
    scenes.sweep_each_day("2013-07-03", "2013-07-05")
    assert scenes.incomes(saver, fund) == []

    with scenes.on("2013-07-06", "09:00"):
        scenes.publish(fund, {"2013-07-03": "1.4670", "2013-07-04": "1.4223", "2013-07-02": "1.5461"})
        scenes.sweep()

    assert scenes.incomes(saver, fund) == ["1.54", "1.46", "1.42"]
    paid = Posting.objects.filter(account_id=scenes.shares_account(saver, fund).id).order_by("sequence")[1:]
    assert [posting.effective_at for posting in paid] == [
        scenes.at(day) for day in ("2013-07-03", "2013-07-04", "2013-07-05")
    ]
    assert figures_of(scenes.run_of(fund, "2013-07-03")).shares == Decimal("10001.54")  # the first income earns already
    scenes.nothing_is_wrong()


def test_a_day_waits_for_the_one_before(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund("2013-07-02")
    saver = _a_holder(fund)
    with scenes.on("2013-07-05", "09:00"):
        scenes.publish(fund, {"2013-07-03": "1.4670"})
        scenes.sweep()
        assert scenes.incomes(saver, fund) == []
        assert not Run.objects.exists()


def test_running_again_writes_nothing(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund("2013-07-02")
    _a_holder(fund)
    with scenes.on("2013-07-03", "09:00"):
        scenes.publish(fund, {"2013-07-02": "1.5461"})
        scenes.sweep()
        before = scenes.canonical_dump()
        scenes.sweep()
        run = scenes.run_of(fund, "2013-07-02")
        assert not income.step(run.pk)
        assert income.open_due_runs() == []
    assert scenes.canonical_dump() == before


def test_a_corrected_figure_posts_the_difference_and_reopens_no_later_day(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund("2013-07-02", leftover=Fund.Leftover.LEAVE_IN_FUND)
    saver = _a_holder(fund)
    with scenes.on("2013-07-04", "09:00"):
        scenes.publish(fund, {"2013-07-02": "1.5461", "2013-07-03": "1.4670"})
        scenes.sweep()
    assert scenes.incomes(saver, fund) == ["1.54", "1.46"]

    with scenes.on("2013-07-05", "09:00"):
        with pytest.raises(yields.YieldsRefused):
            scenes.publish(fund, {"2013-07-02": "2.5461"})
        scenes.publish(fund, {"2013-07-02": "2.5461"}, revise=True)
        scenes.sweep()
        scenes.sweep()
    with scenes.on("2013-07-06", "09:00"):
        scenes.publish(fund, {"2013-07-02": "0.5461"}, revise=True)
        scenes.sweep()

    assert scenes.incomes(saver, fund) == ["1.54", "1.46", "1.00", "-2.00"]
    kinds = JournalEntry.objects.filter(subject=scenes.run_of(fund, "2013-07-02", 1).pk)
    assert [entry.kind for entry in kinds] == ["fund_correction"]
    assert [entry.effective_at for entry in kinds] == [scenes.at("2013-07-03")]
    assert Run.objects.filter(day=date(2013, 7, 3)).count() == 1
    assert FundDay.objects.get(day=date(2013, 7, 2)).per_10k == Decimal("0.5461")
    scenes.nothing_is_wrong()


def test_a_correction_counts_for_no_day_that_was_frozen_before_it(committed_db: TestDatabase) -> None:
    """The correction of Tuesday counts from Wednesday 00:00, but Wednesday was frozen: its own correction is on its basis."""
    fund = scenes.a_fund("2013-07-02", leftover=Fund.Leftover.LEAVE_IN_FUND)
    saver = _a_holder(fund)
    with scenes.on("2013-07-04", "09:00"):
        scenes.publish(fund, {"2013-07-02": "1.5461", "2013-07-03": "1.4670"})
        scenes.sweep()
        scenes.publish(fund, {"2013-07-02": "999.0000"}, revise=True)
        scenes.sweep()
        scenes.publish(fund, {"2013-07-03": "2.4670"}, revise=True)
        scenes.sweep()

    assert scenes.incomes(saver, fund) == ["1.54", "1.46", "997.46", "1.00"]
    assert figures_of(scenes.run_of(fund, "2013-07-03", 1)).shares == Decimal("10001.54")
    scenes.nothing_is_wrong()


def test_a_correction_of_handed_out_cents_pays_each_holder_the_difference(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund("2013-07-02")
    savers = [_a_holder(fund, amount) for amount in ("3333.33", "3333.33", "3333.34")]
    with scenes.on("2013-07-03", "09:00"):
        scenes.publish(fund, {"2013-07-02": "1.46"})
        scenes.sweep()
        assert [scenes.incomes(saver, fund) for saver in savers] == [["0.49"], ["0.48"], ["0.49"]]
        scenes.publish(fund, {"2013-07-02": "1.45"}, revise=True)
        scenes.sweep()

    assert [sum(map(Decimal, scenes.incomes(saver, fund))) for saver in savers] == [
        Decimal("0.48"),
        Decimal("0.48"),
        Decimal("0.49"),
    ]
    assert scenes.incomes(savers[1], fund) == ["0.48"]  # no difference, no posting
    scenes.nothing_is_wrong()


def test_income_of_a_redeemed_holding_goes_on_to_the_wallet(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund("2013-07-02", leftover=Fund.Leftover.LEAVE_IN_FUND)
    saver = _a_holder(fund)
    with scenes.on("2013-07-05", "14:00"):  # Friday: Saturday and Sunday still earn
        scenes.sell(saver, fund, None)
    figures = {"2013-07-02": "1.5461", "2013-07-03": "1.4670", "2013-07-04": "1.4223"}
    with scenes.on("2013-07-05", "15:00"):
        scenes.publish(fund, figures)
        scenes.sweep()
    with scenes.on("2013-07-08", "10:30"):
        scenes.sweep()
        assert scenes.shares_of(saver, fund) == 0
        cash = scenes.cash_of(saver)
        scenes.publish(fund, {"2013-07-05": "1.3845", "2013-07-06": "1.3674", "2013-07-07": "1.3671"})
        scenes.sweep()
        scenes.sweep()  # what the income run sent on is settled and paid out

    assert cash == Decimal("10000.00") + sum(map(Decimal, ("1.54", "1.46", "1.42")))
    assert scenes.incomes(saver, fund)[3:] == ["1.38", "1.36", "1.36"]
    assert scenes.shares_of(saver, fund) == 0
    assert scenes.cash_of(saver) == cash + sum(map(Decimal, ("1.38", "1.36", "1.36")))
    # On the weekend the incomes of the days before earned too: they left with the rest, on Monday at 00:00.
    assert figures_of(scenes.run_of(fund, "2013-07-07")).shares == cash + Decimal("1.38") + Decimal("1.36")
    assert FundOrder.objects.filter(follows__isnull=False, state=FundOrder.State.PAID).count() == 3
    scenes.nothing_is_wrong()


def test_income_posted_before_the_shares_leave_goes_along_and_not_twice(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund("2013-07-02")
    saver = _a_holder(fund)
    with scenes.on("2013-07-02", "14:00"):
        scenes.sell(saver, fund, None)
    with scenes.on("2013-07-03", "00:00"):
        scenes.publish(fund, {"2013-07-02": "1.5461"})
        scenes.pay_income()  # before the shares leave
        scenes.sweep()
    with scenes.on("2013-07-03", "10:30"):
        scenes.sweep()
    assert scenes.cash_of(saver) == Decimal("10001.54")
    assert not FundOrder.objects.filter(follows__isnull=False).exists()
    scenes.nothing_is_wrong()


def test_shares_that_left_between_posting_and_close_took_their_income_along(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund("2013-07-02")
    saver = _a_holder(fund)
    with scenes.on("2013-07-02", "14:00"):
        scenes.sell(saver, fund, None)
    with scenes.on("2013-07-03", "00:00"):
        scenes.publish(fund, {"2013-07-02": "1.5461"})
        (run_id,) = income.open_due_runs()
        wait_until(lambda: income.step(run_id) and scenes.incomes(saver, fund) == ["1.54"], 60)
        order_sets.leave_due()
    with scenes.on("2013-07-03", "10:30"):
        while order_sets.settle_with_manager() or order_sets.pay_out_due():
            pass
        scenes.buy(saver, fund, "50.00")
    with scenes.on("2013-07-04", "00:00"):
        order_sets.confirm_due()
        assert not scenes.is_paid(fund, "2013-07-02")
        scenes.pay_income()
        assert scenes.is_paid(fund, "2013-07-02")

    assert (scenes.shares_of(saver, fund), scenes.cash_of(saver)) == (Decimal("50.00"), Decimal("9951.54"))
    assert not FundOrder.objects.filter(follows__isnull=False).exists()
    scenes.nothing_is_wrong()


def test_what_counts_back_into_a_frozen_day_is_refused(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund("2013-07-02")
    _a_holder(fund)
    with scenes.on("2013-07-03", "09:00"):
        scenes.publish(fund, {"2013-07-02": "1.5461"})
        scenes.sweep()
        with transaction.atomic(), pytest.raises(BackdatedIntoFrozenDay):
            catalogue.lock_against_freezing(fund_id=fund.id, counting_from=date(2013, 7, 2))
        with transaction.atomic():
            catalogue.lock_against_freezing(fund_id=fund.id, counting_from=date(2013, 7, 3))


def test_a_day_is_not_frozen_before_its_orders_are_final(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund("2013-07-02")
    saver = scenes.a_saver(fund, "100.00")
    with scenes.on("2013-07-01", "10:00"):
        scenes.buy(saver, fund, "100.00")
        scenes.publish(fund, {"2013-07-02": "1.5461"})
    with scenes.on("2013-07-03", "09:00"):
        scenes.pay_income()
        assert not FundDay.objects.exists()
        awaited = entitlement.what_is_awaited(fund, date(2013, 7, 2))
        assert awaited is not None
        assert "1 orders" in awaited
        scenes.sweep()
    assert scenes.incomes(saver, fund) == ["0.01"]


def test_a_day_is_not_counted_while_a_transaction_of_before_is_open(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund("2013-07-02")
    saver = _a_holder(fund)
    holding, let_go = threading.Event(), threading.Event()

    def dawdle() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_current_xact_id()")
            holding.set()
            let_go.wait(PATIENCE_SECONDS)
        connection.close()

    dawdler = threading.Thread(target=dawdle)
    dawdler.start()
    try:
        assert holding.wait(PATIENCE_SECONDS)
        with scenes.on("2013-07-03", "09:00"):
            scenes.publish(fund, {"2013-07-02": "1.5461"})
            for run in income.open_due_runs():
                income.work(run, seconds=5)
            day = FundDay.objects.get()
            assert (day.horizon is not None, day.frozen_at) == (True, None)
            assert scenes.incomes(saver, fund) == []
    finally:
        let_go.set()
        dawdler.join()
    with scenes.on("2013-07-03", "09:01"):
        scenes.pay_income()
    assert scenes.is_paid(fund, "2013-07-02")
    assert scenes.incomes(saver, fund) == ["1.54"]


def test_a_batch_that_disagrees_with_its_count_stops_the_run_and_posts_nothing(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund("2013-07-02")
    saver = _a_holder(fund)
    with scenes.on("2013-07-03", "09:00"):
        scenes.publish(fund, {"2013-07-02": "1.5461"})
        run_id = income.open_due_runs()[0]
        wait_until(lambda: income.step(run_id) and Run.objects.get().state == Run.State.POSTING)
        batch = Run.objects.get().batches.get()
        batch.figures = {**batch.figures, "floors": "1.53"}
        batch.save(update_fields=["figures"])
        scenes.pay_income()

    run = Run.objects.get()
    assert run.state == Run.State.STOPPED
    assert "Batch 0" in run.fault
    assert "would post 1.54" in run.fault
    assert scenes.incomes(saver, fund) == []
    assert not scenes.is_paid(fund, "2013-07-02")


def test_a_stopped_run_keeps_its_fund_waiting_until_a_person_has_mended_it_and_moves_it_on(
    committed_db: TestDatabase,
) -> None:
    fund = scenes.a_fund("2013-07-02")
    saver = _a_holder(fund)
    with scenes.on("2013-07-04", "09:00"):
        scenes.publish(fund, {"2013-07-02": "1.5461", "2013-07-03": "1.4670"})
        run_id = income.open_due_runs()[0]
        wait_until(lambda: income.step(run_id) and Run.objects.get().state == Run.State.POSTING)
        batch = Run.objects.get().batches.get()
        counted = batch.figures
        RunBatch.objects.update(figures={**counted, "floors": "1.53"})
        scenes.pay_income()
        scenes.pay_income()
        run = Run.objects.get()  # and none of the 3rd
        assert (run.state, scenes.incomes(saver, fund)) == (Run.State.STOPPED, [])

        RunBatch.objects.update(figures=counted)
        assert runs.advance(run, Run.State.STOPPED, Run.State.POSTING)
        scenes.pay_income()

    assert scenes.incomes(saver, fund) == ["1.54", "1.47"]  # 1.46 and the cent that two remainders make
    assert set(Run.objects.values_list("state", "fault")) == {(Run.State.CLOSED, "")}
    scenes.nothing_is_wrong()


def _edit(row: Run | RunBatch, **figures: str) -> None:
    row.figures = {**row.figures, **figures}
    row.save(update_fields=["figures"])


def _counted(run_id: UUID) -> Run:
    """The run, once its only batch has been counted and before its totals are worked out."""
    run = Run.objects.get(pk=run_id)
    wait_until(lambda: income.step(run_id) and run.batches.filter(state=RunBatch.State.COUNTED).exists())
    run.refresh_from_db()
    return run


@pytest.mark.parametrize(
    ("harm", "fault"),
    [
        (lambda run: _edit(run.batches.get(), base="0.01"), "The batches would post 1.53, the day's figures pay 1.54"),
        (
            lambda run: _edit(run, brought_forward="5.00"),
            "paid 1.54 + carried 0 + left 0 is not distributable 1.54 + brought forward 5.00",
        ),
    ],
    ids=["batch", "day"],
)
def test_totals_that_disagree_stop_a_run_before_it_posts(
    committed_db: TestDatabase, harm: Callable[[Run], None], fault: str
) -> None:
    fund = scenes.a_fund("2013-07-02")
    saver = _a_holder(fund)
    with scenes.on("2013-07-03", "09:00"):
        scenes.publish(fund, {"2013-07-02": "1.5461"})
        harm(_counted(income.open_due_runs()[0]))
        scenes.pay_income()

    run = Run.objects.get()
    assert run.state == Run.State.STOPPED
    assert fault in run.fault
    assert scenes.incomes(saver, fund) == []
    assert not scenes.is_paid(fund, "2013-07-02")


def test_a_correction_whose_base_paid_something_else_than_it_says_stops_before_it_posts(
    committed_db: TestDatabase,
) -> None:
    fund = scenes.a_fund("2013-07-02")
    saver = _a_holder(fund)
    with scenes.on("2013-07-03", "09:00"):
        scenes.publish(fund, {"2013-07-02": "1.5461"})
        scenes.pay_income()
    with scenes.on("2013-07-04", "09:00"):
        scenes.publish(fund, {"2013-07-02": "1.6461"}, revise=True)
        correction = _counted(income.open_due_runs()[0])
        _edit(scenes.run_of(fund, "2013-07-02"), paid="1.55")
        scenes.pay_income()

    correction.refresh_from_db()
    assert correction.state == Run.State.STOPPED
    assert "The base run paid 1.55, by this run's count it had paid 1.54" in correction.fault
    assert scenes.incomes(saver, fund) == ["1.54"]


def test_a_day_whose_batches_posted_something_else_than_it_pays_is_not_closed(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund("2013-07-02")
    saver = _a_holder(fund)
    with scenes.on("2013-07-03", "09:00"):
        scenes.publish(fund, {"2013-07-02": "1.5461"})
        run = _counted(income.open_due_runs()[0])
        wait_until(lambda: income.step(run.pk) and run.batches.filter(state=RunBatch.State.POSTED).exists())
        _edit(run.batches.get(), posted="1.53")
        scenes.pay_income()

    run.refresh_from_db()
    assert run.state == Run.State.STOPPED
    assert "The batches posted 1.53, the day's figures pay 1.54" in run.fault
    assert scenes.incomes(saver, fund) == ["1.54"]
    assert not scenes.is_paid(fund, "2013-07-02")


def test_a_run_that_fails_does_not_hold_up_the_others(
    committed_db: TestDatabase, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    healthy, sick = scenes.a_fund("2013-07-02", code="SOUND"), scenes.a_fund("2013-07-02", code="AILING")
    for fund in (healthy, sick):
        _a_holder(fund)
    post_one = income_batches.post_one

    def failing(fund: Fund, run: Run) -> bool:
        if fund == sick:
            raise DatabaseError("the disk of this fund is bad")
        return post_one(fund, run)

    with scenes.on("2013-07-03", "09:00"):
        for fund in (sick, healthy):
            scenes.publish(fund, {"2013-07-02": "1.46"})
        monkeypatch.setattr(income_batches, "post_one", failing)
        failed: list[int] = []

        def sound_is_paid_and_ailing_has_failed() -> bool:
            failed.append(income.work_on_all(income.open_due_runs(), seconds=60).failed)
            return scenes.is_paid(healthy, "2013-07-02") and 1 in failed

        wait_until(sound_is_paid_and_ailing_has_failed, 60)
        assert not scenes.is_paid(sick, "2013-07-02")
        assert [r.message for r in caplog.records if r.name == "funds.income"] == ["income run failed"] * sum(failed)

        monkeypatch.setattr(income_batches, "post_one", post_one)
        scenes.pay_income()
        assert scenes.is_paid(sick, "2013-07-02")
    scenes.nothing_is_wrong()


def test_a_fund_whose_run_cannot_be_opened_does_not_hold_up_the_others(
    committed_db: TestDatabase, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sick, healthy = scenes.a_fund("2013-07-02", code="AILING"), scenes.a_fund("2013-07-02", code="SOUND")
    for fund in (sick, healthy):
        _a_holder(fund)
    decimals_of = income_days.decimals_of

    def failing(fund: Fund) -> int:
        if fund == sick:
            raise ValueError("the shares of this fund have no decimals")
        return decimals_of(fund)

    with scenes.on("2013-07-03", "09:00"):
        for fund in (sick, healthy):
            scenes.publish(fund, {"2013-07-02": "1.46"})
        monkeypatch.setattr(income_days, "decimals_of", failing)
        scenes.pay_income()
        assert scenes.is_paid(healthy, "2013-07-02")
        assert not Run.objects.filter(scope=sick.code).exists()
        assert {record.message for record in caplog.records if record.name == "funds.income"} == {
            "income run not opened"
        }

        monkeypatch.setattr(income_days, "decimals_of", decimals_of)
        scenes.pay_income()
        assert scenes.is_paid(sick, "2013-07-02")
    scenes.nothing_is_wrong()
