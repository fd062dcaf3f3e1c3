"""Who waits for whom, and for whom nobody waits: the locks of funds, orders and runs, each forced."""

import itertools
from collections.abc import Callable
from contextlib import ExitStack
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection, transaction
from psycopg.conninfo import make_conninfo

from funds import catalogue, entitlement, income, income_batches, income_days, order_sets, orders, yields
from funds.errors import BackdatedIntoFrozenDay, OrderNotCancellable
from funds.income_figures import figures_of
from funds.models import Fund, FundDay, FundOrder, FundTerms, Yield
from superapp import clock, outbox, policies, roles, runs, travel
from superapp.errors import ClockCannotTravel, PolicyRefused
from superapp.ids import uuid7
from superapp.models import Run, RunBatch, User
from tests import factories
from tests.concurrency.locks import forces
from tests.databases import TestDatabase
from tests.funds import scenes
from tests.interleaving import actors, in_a_transaction
from tests.waiting import wait_until
from wallet.models import Account, Hold, Posting
from wallet.policies import PIN_TRIES

pytestmark = pytest.mark.usefixtures("module_db")

Job = Callable[[], Any]

_codes = itertools.count(1)
_heard: list[int] = []


@outbox.handles("test.locks")
def hear(payload: dict[str, Any]) -> None:
    """Remembers what was handed over."""
    _heard.append(payload["number"])


def on(day: str, clock_time: str, job: Job) -> Job:
    """The job, done at that instant in Shanghai by whichever thread does it."""

    def then() -> Any:
        with scenes.on(day, clock_time):
            return job()

    return then


def _a_fund() -> Fund:
    return scenes.a_fund("2013-07-02", code=f"F{next(_codes)}")


def _who_has_ordered(fund: Fund, amount: str = "1000.00") -> tuple[User, orders.PlacedOrder]:
    """A subscription of Monday that counts from Tuesday."""
    saver = scenes.a_saver(fund, "5000.00")
    with scenes.on("2013-07-01", "10:00"):
        return saver, scenes.buy(saver, fund, amount)


def _who_holds(fund: Fund, amount: str = "1000.00") -> User:
    saver, _ = _who_has_ordered(fund, amount)
    with scenes.on("2013-07-02", "10:00"):
        order_sets.confirm_due()
    return saver


def _cancelling(saver: User, order: orders.PlacedOrder, day: str = "2013-07-01", clock_time: str = "14:00") -> Job:
    return on(day, clock_time, lambda: orders.cancel(person_id=saver.pk, order_id=order.order_id, key=str(uuid7())))


# Orders


@forces("orders that are due")
@pytest.mark.parametrize("step", ["confirm_due", "leave_due", "_settle_set", "pay_out_due"])
def test_a_worker_passes_over_the_orders_another_one_is_at_and_does_not_wait(step: str) -> None:
    fund = _a_fund()
    steps: dict[str, Callable[[], int]] = {
        "confirm_due": order_sets.confirm_due,
        "leave_due": order_sets.leave_due,
        "_settle_set": lambda: order_sets._settle_set(fund, clock.today()),
        "pay_out_due": order_sets.pay_out_due,
    }
    with scenes.on("2013-07-03", "11:00"):
        scenes.sweep()  # of other tests nothing is due any more
    if step == "confirm_due":
        _who_has_ordered(fund)
    else:
        saver = _who_holds(fund)
        with scenes.on("2013-07-02", "11:00"):
            steps["_settle_set"]()
            scenes.sell(saver, fund, "100.00")
        with scenes.on("2013-07-03", "10:00"):
            for earlier in itertools.takewhile(lambda name: name != step, ["leave_due", "_settle_set", "pay_out_due"]):
                steps[earlier]()
    work = on("2013-07-03", "11:00", steps[step])
    with actors(2) as (first, second):
        first.begin(work, stop_after="LIMIT %(limit)s")
        assert second.does(work) == 0
        first.go_on()
        assert first.answer() == 1
    scenes.nothing_is_wrong()


@forces("an order its owner cancels")
def test_an_order_that_is_being_cancelled_is_not_carried_out() -> None:
    fund = _a_fund()
    saver, order = _who_has_ordered(fund)
    with actors(2) as (first, second):
        first.begin(_cancelling(saver, order), stop_after='FROM "funds_fundorder"')
        assert second.does(on("2013-07-02", "00:00", order_sets.confirm_due)) == 0
        first.go_on()
        first.answer()
    assert scenes.order_of(order).state == FundOrder.State.CANCELLED
    assert scenes.cash_of(saver) == 5000
    with scenes.on("2013-07-02", "00:00"):
        assert order_sets.confirm_due() == 0


@forces("an order its owner cancels")
def test_of_two_cancellations_at_once_the_second_gives_nothing_back() -> None:
    fund = _a_fund()
    saver, order = _who_has_ordered(fund)
    with actors(2) as (first, second):
        first.begin(_cancelling(saver, order), stop_after='FROM "funds_fundorder"')
        second.begin(_cancelling(saver, order))
        second.waits_for(first)
        first.go_on()
        first.answer()
        with pytest.raises(OrderNotCancellable):
            second.answer()
    assert scenes.cash_of(saver) == 5000


@forces("orders a loss takes from", "accounts, by id")
def test_an_order_a_loss_takes_from_is_cancelled_with_what_the_loss_has_left() -> None:
    fund = _a_fund()
    saver = _who_holds(fund)
    with scenes.on("2013-07-03", "10:00"):
        order = scenes.sell(saver, fund, "1000.00")
        scenes.publish(fund, {"2013-07-02": "-10"})
        (run,) = [Run.objects.get(pk=pk) for pk in income.open_due_runs() if Run.objects.get(pk=pk).scope == fund.code]
        _work_until_posting(run)
    with actors(2) as (first, second):
        first.begin(
            on("2013-07-03", "11:00", lambda: _post_one(fund, run)), stop_after="WHERE side = 'redeem' AND state"
        )
        second.begin(_cancelling(saver, order, "2013-07-03", "12:00"))
        second.waits_for(first)
        first.go_on()
        assert first.answer()
        second.answer()
    hold = Hold.objects.get(subject=order.order_id)
    assert (hold.state, hold.released, hold.remaining) == ("released", 1000, 0)
    assert scenes.shares_of(saver, fund) == 999
    assert scenes.shares_account(saver, fund).held == 0


# A fund's days


def _freezing(fund: Fund) -> Job:
    return on("2013-07-03", "00:00", lambda: entitlement.freeze(fund, date(2013, 7, 2)))


@forces("a fund's days")
def test_a_day_is_not_frozen_while_something_is_being_posted_back_into_it() -> None:
    fund = _a_fund()
    saver, _ = _who_has_ordered(fund)
    with actors(2) as (first, second):
        first.begin(on("2013-07-03", "00:00", order_sets.confirm_due), stop_after="SELECT * FROM funds_fund WHERE id")
        second.begin(_freezing(fund))
        second.waits_for(first)
        first.go_on()
        assert first.answer() == 1
        second.answer()
    wait_until(_freezing(fund), what="a frozen day")
    account = scenes.shares_account(saver, fund)
    params = entitlement.basis_params(fund, FundDay.objects.get(fund=fund), low=account.id, high=account.id)
    with connection.cursor() as cursor:
        cursor.execute(entitlement.BASIS_SQL, params)
        assert [row[2] for row in cursor.fetchall()] == [1000]


@forces("a fund's days")
def test_nothing_is_posted_back_into_a_day_that_is_being_frozen() -> None:
    fund = _a_fund()
    counting = in_a_transaction(
        lambda: catalogue.lock_against_freezing(fund_id=fund.pk, counting_from=date(2013, 7, 2))
    )
    with actors(2) as (first, second):
        first.begin(_freezing(fund), stop_after='FROM "funds_fund" WHERE')
        second.begin(counting)
        second.waits_for(first)
        first.go_on()
        first.answer()
        with pytest.raises(BackdatedIntoFrozenDay):
            second.answer()


@forces("a fund's days")
def test_those_who_post_back_into_a_fund_do_not_wait_for_each_other() -> None:
    fund = _a_fund()
    counting = in_a_transaction(
        lambda: catalogue.lock_against_freezing(fund_id=fund.pk, counting_from=date(2013, 7, 2)).pk
    )
    with actors(2) as (first, second):
        first.begin(counting, stop_after="FOR SHARE")
        assert second.does(counting) == fund.pk
        first.go_on()
        assert first.answer() == fund.pk


@forces("a fund's days")
def test_a_day_is_frozen_only_when_every_transaction_that_was_open_at_its_end_has_ended() -> None:
    """Also one that took no lock of the fund: it could not be seen, and so not be told from one that will never be."""
    fund = _a_fund()
    saver = _who_holds(fund)
    with actors(1) as (slow,):
        slow.begin(lambda: factories.a_top_up(saver, "1.00"), stop_after="INSERT INTO wallet_posting")
        assert _freezing(fund)() is None
        row = FundDay.objects.get(fund=fund)
        assert row.horizon is not None
        assert row.frozen_at is None
        slow.go_on()
        slow.answer()
    assert wait_until(_freezing(fund), what="a frozen day").frozen_at is not None


@forces("a fund's days")
def test_a_day_does_not_wait_for_a_transaction_of_another_database(module_db: TestDatabase) -> None:
    """Its number is below the horizon, for the databases of a server share their numbers; nothing of it can count here."""
    fund = _a_fund()
    with psycopg.connect(make_conninfo(module_db.url, dbname="postgres")) as elsewhere:
        (number,) = elsewhere.execute("SELECT pg_current_xact_id()::text::bigint").fetchone() or (0,)
        _who_holds(fund)
        frozen = _freezing(fund)()
        assert elsewhere.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS

    assert frozen.horizon > number > 0
    assert frozen.frozen_at is not None


@forces("a fund's days")
def test_of_two_that_open_a_day_at_once_the_second_finds_it_open() -> None:
    fund = _a_fund()
    with scenes.on("2013-07-03", "10:00"):
        scenes.publish(fund, {"2013-07-02": "1.46"})
    opening = on("2013-07-03", "10:00", lambda: income._open_next_day(fund))
    with actors(2) as (first, second):
        first.begin(opening, stop_after='FROM "funds_fund" WHERE')
        second.begin(opening)
        second.waits_for(first)
        first.go_on()
        first.answer()
        second.answer()
    assert Run.objects.filter(scope=fund.code).count() == 1


# A fund's papers


@forces("a fund's terms")
def test_terms_that_two_publish_at_once_are_two_versions() -> None:
    fund = _a_fund()
    with actors(2) as (first, second):
        first.begin(lambda: catalogue.publish_terms(fund=fund, text="one"), stop_after='FROM "funds_fund" WHERE')
        second.begin(lambda: catalogue.publish_terms(fund=fund, text="two"))
        second.waits_for(first)
        first.go_on()
        assert [first.answer().version, second.answer().version] == [2, 3]
    assert FundTerms.objects.filter(fund=fund).count() == 3


@forces("a fund's figures")
def test_figures_that_two_publish_at_once_are_two_revisions() -> None:
    fund = _a_fund()

    def publish(figure: str) -> Job:
        day = date(2013, 7, 2)
        return on(
            "2013-07-03", "10:00", lambda: yields.publish(fund=fund, day=day, per_10k=Decimal(figure), revise=True)
        )

    with actors(2) as (first, second):
        first.begin(publish("1.46"), stop_after="pg_advisory_xact_lock")
        second.begin(publish("1.47"))
        second.waits_for(first)
        first.go_on()
        assert [first.answer().revision, second.answer().revision] == [0, 1]
    assert Yield.objects.filter(fund=fund).count() == 2


# Runs


def _work_until_posting(run: Run) -> None:
    """Freezes and counts; the next step posts a batch."""

    def posting() -> bool:
        income.step(run.pk)
        run.refresh_from_db()
        return run.state == Run.State.POSTING

    wait_until(posting, what="a counted day")


def _post_one(fund: Fund, run: Run) -> bool:
    return income_batches.post_one(fund, run)


def _a_run(batches: int = 2) -> Run:
    run = runs.open_run("test.locks", f"scope {next(_codes)}", date(2013, 9, 18))
    with transaction.atomic():
        runs.plan_batches(run, [(UUID(int=number), UUID(int=number)) for number in range(batches)])
    return run


@forces("a run's move")
def test_of_two_that_move_a_run_at_once_one_does() -> None:
    run = _a_run()

    def move() -> bool:
        return runs.advance(Run.objects.get(pk=run.pk), Run.State.OPEN, Run.State.COUNTING, {"by": "me"})

    with actors(2) as (first, second):
        first.begin(in_a_transaction(move), stop_after='FROM "superapp_run" WHERE ("superapp_run"."id"')
        second.begin(in_a_transaction(move))
        second.waits_for(first)
        first.go_on()
        assert [first.answer(), second.answer()] == [True, False]


def _a_day_to_plan() -> tuple[Fund, Run]:
    fund = _a_fund()
    _who_holds(fund)
    with scenes.on("2013-07-03", "10:00"):
        scenes.publish(fund, {"2013-07-02": "1.46"})
        income.open_due_runs()
    wait_until(_freezing(fund), what="a frozen day")
    return fund, scenes.run_of(fund, "2013-07-02")


@forces("a run's move")
def test_of_two_that_plan_a_run_at_once_one_does() -> None:
    fund, run = _a_day_to_plan()
    planning = on("2013-07-03", "10:00", lambda: income_days.plan(fund, Run.objects.get(pk=run.pk)))
    with actors(2) as (first, second):
        first.begin(planning, stop_after='"superapp_run"."state" = %s')
        second.begin(planning)
        second.waits_for(first)
        first.go_on()
        assert [first.answer(), second.answer()] == [True, False]
    assert RunBatch.objects.filter(run=run).count() == 1


@forces("a run's move")
def test_of_two_that_finish_a_stage_at_once_one_does() -> None:
    fund, run = _a_day_to_plan()
    with scenes.on("2013-07-03", "10:00"):
        income_days.plan(fund, run)
        run.refresh_from_db()
        assert income_batches.read_some(fund, run, figures_of(run))
    figures = figures_of(run)
    finishing = on("2013-07-03", "10:00", lambda: income_days.finish_stage(fund, Run.objects.get(pk=run.pk), figures))
    with actors(2) as (first, second):
        first.begin(finishing, stop_after="FOR NO KEY UPDATE")
        second.begin(finishing)
        second.waits_for(first)
        first.go_on()
        assert [first.answer(), second.answer()] == [True, False]


@forces("a run's batch")
def test_a_batch_that_one_worker_is_at_is_passed_over_by_the_next() -> None:
    run = _a_run()
    runs.advance(run, Run.State.OPEN, Run.State.COUNTING)

    def claim() -> int | None:
        batch = runs.claim_batch(run.pk, RunBatch.State.PLANNED)
        return None if batch is None else batch.position

    with actors(3) as (first, second, third):
        first.begin(in_a_transaction(claim), stop_after='FROM "superapp_runbatch"')
        second.begin(in_a_transaction(claim), stop_after='FROM "superapp_runbatch"')
        assert third.does(in_a_transaction(claim)) is None
        first.go_on()
        second.go_on()
        assert [first.answer(), second.answer()] == [0, 1]


@forces("a run's batch")
def test_a_batch_that_one_worker_counts_is_passed_over_by_the_next() -> None:
    fund, run = _a_day_to_plan()
    with scenes.on("2013-07-03", "10:00"):
        income_days.plan(fund, run)
        run.refresh_from_db()
    counting = on("2013-07-03", "10:00", lambda: income_batches.read_some(fund, run, figures_of(run)))
    with actors(2) as (first, second):
        first.begin(counting, stop_after="FROM superapp_runbatch b")
        assert not second.does(counting)
        first.go_on()
        assert first.answer()


@forces("accounts, by id")
def test_a_redemption_waits_for_the_income_of_its_account_and_sees_it() -> None:
    fund = _a_fund()
    saver = _who_holds(fund, "1000.00")
    with scenes.on("2013-07-03", "10:00"):
        scenes.publish(fund, {"2013-07-02": "10"})
        (run,) = [Run.objects.get(pk=pk) for pk in income.open_due_runs() if Run.objects.get(pk=pk).scope == fund.code]
        _work_until_posting(run)
    redeeming = on("2013-07-03", "11:00", lambda: scenes.sell(saver, fund, "1001.00"))
    with actors(2) as (first, second):
        first.begin(on("2013-07-03", "11:00", lambda: _post_one(fund, run)), stop_after="UPDATE wallet_account")
        second.begin(redeeming)
        second.waits_for(first)
        first.go_on()
        assert first.answer()
        assert second.answer().amount == 1001
    account = scenes.shares_account(saver, fund)
    assert (account.balance, account.held) == (1001, 1001)
    assert list(Posting.objects.filter(account=account).order_by("sequence").values_list("amount", flat=True)) == [
        1000,
        1,
    ]


@forces("accounts, by id")
def test_the_income_of_an_account_waits_for_a_redemption_and_is_paid_all_the_same() -> None:
    fund = _a_fund()
    saver = _who_holds(fund, "1000.00")
    with scenes.on("2013-07-03", "10:00"):
        scenes.publish(fund, {"2013-07-02": "10"})
        (run,) = [Run.objects.get(pk=pk) for pk in income.open_due_runs() if Run.objects.get(pk=pk).scope == fund.code]
        _work_until_posting(run)
    with actors(2) as (first, second):
        first.begin(
            on("2013-07-03", "11:00", lambda: scenes.sell(saver, fund, "1000.00")), stop_after="FROM wallet_account"
        )
        second.begin(on("2013-07-03", "11:00", lambda: _post_one(fund, run)))
        second.waits_for(first)
        first.go_on()
        first.answer()
        assert second.answer()
    account = scenes.shares_account(saver, fund)
    assert (account.balance, account.held) == (1001, 1000)


# What happens by itself


@forces("an event to be delivered")
def test_an_event_that_one_worker_delivers_is_passed_over_by_the_next() -> None:
    outbox.deliver_due(limit=10_000)
    _heard.clear()
    with transaction.atomic():
        for number in range(2):
            outbox.emit("test.locks", {"number": number})
    with actors(2) as (first, second):
        first.begin(lambda: outbox.deliver_due(limit=1), stop_after='FROM "superapp_outboxevent"')
        assert second.does(outbox.deliver_due) == 1
        assert _heard == [1]
        first.go_on()
        assert first.answer() == 1
    assert _heard == [1, 0]


@forces("a journey")
def test_of_two_journeys_at_once_the_second_is_told_so() -> None:
    with actors(2) as (first, second), ExitStack() as journey:
        first.does(lambda: journey.enter_context(travel._only_journey()))
        with pytest.raises(ClockCannotTravel, match="under way"):
            second.does(lambda: travel.travel(to=clock.now()))
        first.does(journey.close)


@forces("the database's roles")
def test_of_two_that_make_the_roles_at_once_the_second_waits() -> None:
    def granting() -> None:
        with connection.cursor() as cursor:
            cursor.execute("RESET ROLE")
        roles.grant_to_site()

    with actors(2) as (first, second):
        first.begin(granting, stop_after="pg_advisory_lock")
        second.begin(granting)
        second.waits_for(first)
        first.go_on()
        assert (first.answer(), second.answer()) == (None, None)


def test_a_unit_of_work_that_has_read_a_policy_keeps_it_while_another_changes_it() -> None:
    """No lock: who has begun decides by one version from beginning to end, and says which."""
    here = clock.now()

    def look() -> tuple[int, int]:
        clock.forget()
        with clock.stopped_at(here):
            read = PIN_TRIES.now().version
            Account.objects.exists()
            return read, PIN_TRIES.now().version

    def change() -> int:
        with clock.stopped_at(here):
            return policies.change(policy="wallet.pin.tries", value=7, effective_from=here).pk

    with actors(2) as (reader, operator):
        reader.begin(look, stop_after='FROM "wallet_account"')
        version = operator.does(change)
        reader.go_on()
        assert reader.answer() == (0, 0)
        assert reader.does(look) == (version, version)
        with pytest.raises(PolicyRefused, match="another version begins"):
            operator.does(change)
