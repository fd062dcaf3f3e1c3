"""Income is paid without locking first: what others commit meanwhile on the same account, forced on real connections."""

import itertools
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funds import income, income_batches, leftover, order_sets
from funds.arithmetic import FRACTION_UNITS, income_of
from funds.income_figures import Figures, Rule, figures_of
from funds.leftover import Threshold
from funds.models import Fund
from superapp import policies
from superapp.models import Run, RunBatch, User
from tests.databases import TestDatabase
from tests.funds import model, scenes
from tests.interleaving import actors
from tests.waiting import wait_until
from wallet.models import Account, Posting

Job = Callable[[], object]

WRITES = "UPDATE wallet_account"


def _on(clock_time: str, job: Job) -> Job:
    def then() -> object:
        with scenes.on("2013-07-03", clock_time):
            return job()

    return then


def _a_counted_day(*, sells: str | None = None, buys: str | None = None) -> tuple[Fund, User, User, Run]:
    """A day of two holders, counted; the first has an order that is due at the day's end and has not been carried out."""
    fund = scenes.a_fund("2013-07-02")
    first, second = (scenes.a_saver(fund, "20000.00", name=name) for name in ("Li Lei", "Han Mei"))
    with scenes.on("2013-07-01", "10:00"):
        for saver in (first, second):
            scenes.buy(saver, fund, "10000.00")
    with scenes.on("2013-07-02", "00:01"):
        scenes.sweep()
    with scenes.on("2013-07-02", "10:00"):
        if sells:
            scenes.sell(first, fund, sells)
        if buys:
            scenes.buy(first, fund, buys)
    with scenes.on("2013-07-03", "09:00"):
        scenes.publish(fund, {"2013-07-02": "1.4600"})
        (run_id,) = income.open_due_runs()
        wait_until(lambda: income.step(run_id) and Run.objects.get().state == Run.State.POSTING)
    return fund, first, second, Run.objects.get()


def _posting_of(fund: Fund, run: Run) -> Job:
    return lambda: income_batches.post_one(fund, run)


def _locked_way_is_closed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    taken: list[int] = []
    post = income_batches._post_under_locks

    def watched(fund: Fund, run: Run, batch: RunBatch, figures: Figures) -> Decimal:
        taken.append(batch.position)
        return post(fund, run, batch, figures)

    monkeypatch.setattr(income_batches, "_post_under_locks", watched)
    return taken


@pytest.mark.parametrize(
    ("order", "step", "shares"),
    [
        ({"sells": "9999.99"}, order_sets.leave_due, "1.47"),
        ({"sells": "4000.00"}, order_sets.leave_due, "6001.46"),
        ({"buys": "5000.00"}, order_sets.confirm_due, "15001.46"),
    ],
)
def test_an_order_that_commits_while_its_account_is_being_paid_changes_nothing_of_the_income(
    committed_db: TestDatabase, monkeypatch: pytest.MonkeyPatch, order: dict[str, str], step: Job, shares: str
) -> None:
    """The row is paid as the order left it; what it is entitled to is what it had when the day was frozen."""
    fund, first, second, run = _a_counted_day(**order)
    locked = _locked_way_is_closed(monkeypatch)
    with actors(2) as (trader, payer):
        trader.begin(_on("09:00", step), stop_after=WRITES)
        payer.begin(_on("09:00", _posting_of(fund, run)))
        payer.waits_for(trader)
        trader.go_on()
        trader.answer()
        assert payer.answer() is True

    assert locked == []
    assert scenes.incomes(first, fund) == scenes.incomes(second, fund) == ["1.46"]
    assert scenes.shares_of(first, fund) == Decimal(shares)
    with scenes.on("2013-07-03", "09:00"):
        scenes.sweep()
    assert scenes.is_paid(fund, "2013-07-02")
    scenes.nothing_is_wrong()


def test_what_was_recorded_after_the_payer_looked_at_the_clock_is_never_recorded_before(
    committed_db: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recorded time may not fall on an account: the quick way leaves it out, notices, and the locked way pays all."""
    fund, first, second, run = _a_counted_day(sells="4000.00")
    locked = _locked_way_is_closed(monkeypatch)
    with actors(2) as (trader, payer):
        trader.begin(_on("09:01", order_sets.leave_due), stop_after=WRITES)
        payer.begin(_on("09:00", _posting_of(fund, run)))
        payer.waits_for(trader)
        trader.go_on()
        trader.answer()
        assert payer.answer() is True

    assert locked == [0]
    assert scenes.incomes(first, fund) == scenes.incomes(second, fund) == ["1.46"]
    times = Posting.objects.filter(account=scenes.shares_account(first, fund)).order_by("sequence")
    recorded = [posting.recorded_at for posting in times]
    assert recorded == sorted(recorded)
    scenes.nothing_is_wrong()


def test_days_that_are_paid_late_one_after_the_other_need_no_lock_pass_either(
    committed_db: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    fund = scenes.a_fund("2013-07-02")
    held = scenes.many_holders(
        fund, [Decimal(amount) for amount in ("3333.33", "0", "0.01", "91234.56")], since="2013-07-02"
    )
    locked = _locked_way_is_closed(monkeypatch)
    with scenes.on("2013-07-05", "09:00"):
        scenes.publish(fund, {"2013-07-02": "1.46", "2013-07-03": "1.52", "2013-07-04": "0.0001"})
        scenes.pay_income()

    assert locked == []
    entitled, remainder = {account: Fraction(amount) for account, amount in held.items()}, Fraction(0)
    for number, y in enumerate(("1.46", "1.52", "0.0001")):
        expected = model.day(entitled=entitled, y=Fraction(y), remainder=remainder)
        run = Run.objects.get(day=date(2013, 7, 2 + number))
        paid = dict(Posting.objects.filter(subject=run.pk, amount__gt=0).values_list("account_id", "amount"))
        assert {account: Fraction(amount) for account, amount in paid.items()} == {
            account: amount for account, amount in expected.incomes.items() if amount
        }
        entitled = {account: shares + expected.incomes.get(account, 0) for account, shares in entitled.items()}
        remainder = expected.remainder
    scenes.nothing_is_wrong()


@pytest.mark.parametrize(("deviations", "reads_again"), [(leftover.DEVIATIONS, False), (0, True)])
def test_a_last_step_among_equals_is_paid_without_locks_and_read_again_only_where_it_was_not_expected(
    committed_db: TestDatabase, monkeypatch: pytest.MonkeyPatch, deviations: int, reads_again: bool
) -> None:
    """Three steps: two to the largest fractions, in the first batch, the last to the first of three equals in the next."""
    monkeypatch.setattr(leftover, "DEVIATIONS", deviations)
    with scenes.on("2013-06-01"):
        policies.change(policy="funds.income_batch_accounts", value=2)
    fund = scenes.a_fund("2013-07-02")
    amounts = [Decimal(amount) for amount in ("3333.33", "3333.33", "1000", "1000", "1000", "2000")]
    held = scenes.many_holders(fund, amounts, since="2013-07-02")
    assert list(held) == sorted(held)
    locked = _locked_way_is_closed(monkeypatch)
    with scenes.on("2013-07-03", "09:00"):
        scenes.publish(fund, {"2013-07-02": "1.46"})
        scenes.pay_income()

    assert locked == []
    run = Run.objects.get()
    paid = dict(Posting.objects.filter(subject=run.pk, amount__gt=0).values_list("account_id", "amount"))
    assert [paid[account] for account in held] == [Decimal(i) for i in ("0.49", "0.49", "0.15", "0.14", "0.14", "0.29")]
    batches = RunBatch.objects.filter(run=run)
    for read_again in ("whole", "ties"):
        assert batches.filter(figures__has_key=read_again).count() == (batches.count() if reads_again else 0)
    scenes.nothing_is_wrong()


@pytest.mark.parametrize("deviations", [leftover.DEVIATIONS, 0])
def test_an_income_too_large_to_be_counted_in_machine_integers_is_counted_all_the_same(
    committed_db: TestDatabase, monkeypatch: pytest.MonkeyPatch, deviations: int
) -> None:
    monkeypatch.setattr(leftover, "DEVIATIONS", deviations)
    with scenes.on("2013-06-01"):
        policies.change(policy="funds.income_batch_accounts", value=2)
    fund = scenes.a_fund("2013-07-02")
    amounts = [Decimal(amount) for amount in ("900000000000000.01", "3333.33", "3333.33", "1000", "0.01")]
    held = scenes.many_holders(fund, amounts, since="2013-07-02")
    entitled = {account: Fraction(amount) for account, amount in held.items()}
    with scenes.on("2013-07-03", "09:00"):
        scenes.publish(fund, {"2013-07-02": "1.4601"})
        scenes.pay_income()

    run = Run.objects.get()
    paid = dict(Posting.objects.filter(subject=run.pk, amount__gt=0).values_list("account_id", "amount"))
    assert paid == model.day(entitled=entitled, y=Fraction("1.4601"), remainder=Fraction(0)).incomes
    assert figures_of(run).shares == sum(amounts)
    scenes.nothing_is_wrong()


def test_a_day_takes_the_ranges_of_the_day_before_and_whoever_came_since(committed_db: TestDatabase) -> None:
    """Also who came with an id from between: ranges have no gaps. A change of the policy cuts afresh."""
    with scenes.on("2013-06-01"):
        policies.change(policy="funds.income_batch_accounts", value=2)
    fund = scenes.a_fund("2013-07-02")
    held = sorted(scenes.many_holders(fund, [Decimal(1000)] * 5, since="2013-07-02"))
    with scenes.on("2013-07-03", "09:00"):
        scenes.publish(fund, {"2013-07-02": "1.46"})
        scenes.pay_income()
    late = scenes.many_holders(fund, [Decimal(1000)] * 3, since="2013-07-03")
    with scenes.on("2013-07-04", "09:00"):
        scenes.publish(fund, {"2013-07-03": "1.46"})
        scenes.pay_income()
    ranges = _ranges("2013-07-03")
    accounts = sorted([*held, *late])
    assert [sum(low <= account <= high for account in accounts) for low, high in ranges] == [2, 2, 2, 2]
    assert ranges[0][0] == UUID(int=0)
    assert all(UUID(int=high.int + 1) == low for (_, high), (low, _) in itertools.pairwise(ranges[:3]))
    assert ranges[-1][1] == accounts[-1]

    with scenes.on("2013-07-04", "10:00"):
        policies.change(policy="funds.income_batch_accounts", value=3)
    with scenes.on("2013-07-05", "09:00"):
        scenes.publish(fund, {"2013-07-04": "1.46"})
        scenes.pay_income()
    assert [low for low, _ in _ranges("2013-07-04")] == accounts[::3]
    assert Posting.objects.filter(account__in=Account.objects.filter(kind="fund")).count() == 8 + 5 + 8 + 8
    scenes.nothing_is_wrong()


def _ranges(day: str) -> list[tuple[UUID, UUID]]:
    batches = RunBatch.objects.filter(run__day=date.fromisoformat(day)).order_by("position")
    return [(batch.low, batch.high) for batch in batches]


@given(
    shares=st.integers(1, 10**13),
    y=st.integers(1, 99_999_999),
    decimals=st.sampled_from([0, 2, 4]),
    near=st.integers(-2, 2),
    account=st.sampled_from([None, UUID(int=6), UUID(int=7), UUID(int=8)]),
)
def test_lifting_an_income_before_the_cut_is_the_cut_and_the_step(
    shares: int, y: int, decimals: int, near: int, account: UUID | None
) -> None:
    """Thresholds lie where they decide about this very holder; at -2 nothing is handed out."""
    unit, who = Decimal(1).scaleb(-decimals), UUID(int=7)
    entitled, per_10k = shares * unit, Decimal(y).scaleb(-4)
    own = income_of(entitled=entitled, per_10k=per_10k, decimals=decimals)
    place = min(max(own.fraction + near, 0), FRACTION_UNITS - 1)
    threshold = None if near == -2 else Threshold(fraction=place, account=account)
    rule = Rule(per_10k=per_10k, step=unit if threshold else Decimal(0), threshold=threshold)
    reached = threshold is not None and (threshold.account is None or who <= threshold.account)
    gets_step = threshold is not None and threshold.reaches(fraction=own.fraction, account=who)

    lifted = rule.lifted(decimals=decimals, reached=reached)

    income_with_step = own.cut + (unit if gets_step else 0)
    quick = own.exact + lifted.by
    assert quick - quick % unit == income_with_step
    assert (entitled >= lifted.least) == (income_with_step > 0)
