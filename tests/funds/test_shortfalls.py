"""What a holder owes after a correction downwards is collected from later income, exactly and once."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from funds import income_days, shortfalls
from funds.explanation import explain
from funds.holdings import income_of
from funds.models import Fund, IncomeShortfall, ShortfallCollection
from superapp.models import Run, User
from tests.databases import TestDatabase
from tests.funds import scenes
from tests.many import at_once
from wallet.flows import OWED
from wallet.models import Posting
from wallet.verification import verify

DAY = "2013-07-03"


class Killed(BaseException):
    """The worker is gone; nothing in the code may catch this."""


def _correct(fund: Fund, figure: str, *, on: str = "2013-07-05", at: str = "11:00") -> None:
    with scenes.on(on, at):
        scenes.publish(fund, {DAY: figure}, revise=True)
        scenes.sweep()
    scenes.nothing_is_wrong()


def _owed(fund: Fund) -> Decimal:
    return scenes.system_balance(OWED, fund, shares=True)


def _who_came_back(fund: Fund) -> User:
    """Who owes 2.00, holds 5,000.00 again from the 8th on, and earns 1.00 of it a day."""
    saver = scenes.who_left(fund, cash="15000.00")
    _correct(fund, "1")
    with scenes.on("2013-07-05", "12:00"):
        scenes.buy(saver, fund, "5000.00")
        scenes.publish(fund, dict.fromkeys(("2013-07-04", "2013-07-05", "2013-07-06", "2013-07-07"), "2"))
        scenes.publish(fund, dict.fromkeys(("2013-07-08", "2013-07-09", "2013-07-10"), "2"))
    scenes.sweep_each_day("2013-07-06", "2013-07-08")
    assert scenes.shares_of(saver, fund) == Decimal("5000.00")
    return saver


def test_corrected_down_and_up_again_a_holder_who_left_has_what_the_day_was_worth(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund(DAY)
    saver = scenes.who_left(fund)
    assert scenes.cash_of(saver) == Decimal("10003.00")

    _correct(fund, "1")
    assert (_owed(fund), scenes.cash_of(saver)) == (Decimal("-2.00"), Decimal("10003.00"))
    _correct(fund, "3", at="11:30")

    scenes.sweep_each_day("2013-07-08", "2013-07-09")
    assert (_owed(fund), scenes.cash_of(saver)) == (Decimal(0), Decimal("10003.00"))
    assert scenes.shares_of(saver, fund) == 0
    assert IncomeShortfall.objects.get().collected == Decimal("2.00")
    scenes.nothing_is_wrong()


def test_what_income_leaves_over_goes_on_to_the_wallet(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund(DAY)
    saver = scenes.who_left(fund)

    _correct(fund, "1")
    _correct(fund, "4.5", at="11:30")

    scenes.sweep_each_day("2013-07-08", "2013-07-09")
    assert (_owed(fund), scenes.cash_of(saver)) == (Decimal(0), Decimal("10004.50"))
    assert scenes.shares_of(saver, fund) == 0
    scenes.nothing_is_wrong()


def test_several_shortfalls_are_collected_oldest_first(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund(DAY)
    saver = scenes.who_left(fund)

    _correct(fund, "1")
    _correct(fund, "0.5", at="11:15")
    assert _owed(fund) == Decimal("-2.50")
    _correct(fund, "2.75", at="11:30")

    assert [row.collected for row in IncomeShortfall.objects.order_by("id")] == [Decimal("2.00"), Decimal("0.25")]
    assert (_owed(fund), scenes.cash_of(saver)) == (Decimal("-0.25"), Decimal("10003.00"))


def test_income_smaller_than_what_is_owed_pays_over_several_days(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund(DAY)
    saver = _who_came_back(fund)

    owed = []
    for day in ("2013-07-09", "2013-07-10", "2013-07-11"):
        scenes.sweep_each_day(day, day)
        owed.append((_owed(fund), scenes.shares_of(saver, fund)))
        scenes.nothing_is_wrong()

    assert [(str(debt), str(shares)) for debt, shares in owed] == [
        ("-1.00", "5000.00"),
        ("0.00", "5000.00"),
        ("0.00", "5001.00"),
    ]
    assert ShortfallCollection.objects.count() == 2


def test_incomes_that_are_shown_are_what_the_days_explain(committed_db: TestDatabase) -> None:
    """Each day shows its own figure, and the days together are what was posted."""
    fund = scenes.a_fund(DAY)
    saver = _who_came_back(fund)
    scenes.sweep_each_day("2013-07-09", "2013-07-11")

    shown = income_of(person_id=saver.id, fund=fund, low=date(2013, 7, 1), high=date(2013, 7, 31))

    assert [(str(each.day), each.amount) for each in shown] == [
        (DAY, Decimal("1.00")),
        ("2013-07-08", Decimal("1.00")),
        ("2013-07-09", Decimal("1.00")),
        ("2013-07-10", Decimal("1.00")),
    ]
    for each in shown:
        assert explain(person_id=saver.id, fund_code=fund.code, day=each.day).paid == each.amount
    runs = Run.objects.values("pk")
    postings = Posting.objects.filter(account=scenes.shares_account(saver, fund), subject__in=runs)
    assert sum(posting.amount for posting in postings) == sum(each.amount for each in shown)


def _pay_until_killed_in(module: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker dies when it has called the function."""
    original: Callable[..., Any] = getattr(module, name)

    def dying(*args: Any, **options: Any) -> Any:
        original(*args, **options)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(module, name, dying)
        with pytest.raises(Killed):
            scenes.pay_income()


@pytest.mark.parametrize(
    ("module", "name", "collected"),
    [(shortfalls, "post_set", False), (income_days, "collect_shortfalls", True)],
    ids=["before the commit", "after the commit"],
)
def test_killed_while_collecting_it_is_collected_once(
    committed_db: TestDatabase, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, collected: bool
) -> None:
    fund = scenes.a_fund(DAY)
    saver = scenes.who_left(fund)
    _correct(fund, "1")

    with scenes.on("2013-07-05", "11:30"):
        scenes.publish(fund, {DAY: "3"}, revise=True)
        _pay_until_killed_in(module, name, monkeypatch)
        assert ShortfallCollection.objects.exists() is collected
        scenes.sweep()

    scenes.sweep_each_day("2013-07-08", "2013-07-09")
    assert (_owed(fund), scenes.cash_of(saver)) == (Decimal(0), Decimal("10003.00"))
    assert ShortfallCollection.objects.get().amount == Decimal("2.00")
    scenes.nothing_is_wrong()


def test_workers_that_collect_at_once_collect_once(committed_db: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    fund = scenes.a_fund(DAY)
    scenes.who_left(fund)
    _correct(fund, "1")
    with scenes.on("2013-07-05", "11:30"):
        scenes.publish(fund, {DAY: "3"}, revise=True)
        _pay_until_killed_in(shortfalls, "post_set", monkeypatch)
    run = scenes.run_of(fund, DAY, revision=2)

    def collect() -> int:
        with scenes.on("2013-07-05", "11:40"):
            return shortfalls.collect(fund=fund, run=run)

    results = at_once([collect] * 4)

    assert not [result for result in results if isinstance(result, Exception)]
    assert ShortfallCollection.objects.get().amount == Decimal("2.00")
    assert _owed(fund) == 0


def test_no_more_is_collected_than_is_owed(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund(DAY)
    scenes.who_left(fund)
    _correct(fund, "1")

    with pytest.raises(DatabaseError, match="no_more_is_collected_than_is_owed"), transaction.atomic():
        IncomeShortfall.objects.update(collected=Decimal("2.01"))


def test_a_shortfall_written_off_by_hand_is_named(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund(DAY)
    scenes.who_left(fund)
    _correct(fund, "1")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE funds_incomeshortfall SET collected = 1")

    faults = [f"{found.row}: {found.fault}" for each in verify().values() for found in each]

    assert any(fault.startswith("shortfall") and "its collections make 0" in fault for fault in faults)
    assert any("its balance is -2.0000, the open shortfalls make 1.0000" in fault for fault in faults)
