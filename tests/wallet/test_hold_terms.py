"""A hold's term: decided by the clock at the act, whoever comes first; the sweep only frees what has lapsed."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import pytest

from superapp import clock
from tests.interleaving import Actor, actors
from tests.picture import nothing_changes
from tests.wallet.ledger_world import World, a_ledger, balance, faults
from tests.wallet.test_holds import LATER, MOMENT, NOON, balance_and_held, capture, parts_of, place_hold, release
from wallet import holds
from wallet.errors import HoldLapsed, LedgerFault
from wallet.models import Account, Hold


def test_the_sweep_ends_what_has_lapsed_frees_it_and_leaves_the_rest(committed_db: None) -> None:
    with clock.stopped_at(NOON):
        world = a_ledger(balances=["100.00"])
        for_good, due = place_hold(world, "10.00"), place_hold(world, "20.00", lapses_at=LATER)
        not_yet, ended = (
            place_hold(world, "30.00", lapses_at=LATER + MOMENT),
            place_hold(world, "5.00", lapses_at=LATER),
        )
        release(world, ended)
        capture(world, due, "8.00", final=False)

    with clock.stopped_at(LATER - MOMENT):
        assert holds.lapse_due() == 0
    with clock.stopped_at(LATER):
        assert holds.lapse_due() == 1
        assert holds.lapse_due() == 0

    assert parts_of(due) == ("lapsed", 8, 0, 12, 0)
    assert Hold.objects.get(id=due).ended_at == LATER
    assert [parts_of(hold)[0] for hold in (for_good, not_yet, ended)] == ["open", "open", "released"]
    assert balance_and_held(world) == (Decimal(92), Decimal(40))
    assert faults() == []
    with pytest.raises(HoldLapsed), nothing_changes():
        capture(world, due, "1.00", final=True)
    with pytest.raises(HoldLapsed), nothing_changes():
        release(world, due)


def test_at_its_term_a_hold_is_gone_before_any_sweep_and_a_moment_earlier_it_is_not(committed_db: None) -> None:
    with clock.stopped_at(NOON):
        world = a_ledger(balances=["100.00"])
        hold = place_hold(world, "20.00", lapses_at=LATER)
    with clock.stopped_at(LATER - MOMENT):
        capture(world, hold, "8.00", final=False)
    with clock.stopped_at(LATER), pytest.raises(HoldLapsed), nothing_changes():
        capture(world, hold, "8.00", final=False)

    assert parts_of(hold) == ("open", 8, 0, 0, 12)


def test_one_sweep_takes_no_more_than_it_may_and_the_next_goes_on(committed_db: None) -> None:
    with clock.stopped_at(NOON):
        world = a_ledger(balances=["100.00"])
        for _ in range(5):
            place_hold(world, "1.00", lapses_at=LATER)

    with clock.stopped_at(LATER):
        assert [holds.lapse_due(limit=2) for _ in range(4)] == [2, 2, 1, 0]

    assert balance_and_held(world) == (Decimal(100), Decimal(0))


# Two acts at one instant, each order forced: the account's lock decides, and the second sees what the first did.

LOCK = "FOR NO KEY UPDATE"
Act = Callable[[World, UUID], object]


def _at(instant: datetime, act: Act, world: World, hold: UUID) -> Callable[[], object]:
    def stopped() -> object:
        with clock.stopped_at(instant):
            try:
                return act(world, hold) or "done"
            except (HoldLapsed, LedgerFault) as refusal:
                return type(refusal).__name__

    return stopped


def _captures_last(world: World, hold: UUID) -> None:
    capture(world, hold, "60.00", final=True)


def _captures_part(world: World, hold: UUID) -> None:
    capture(world, hold, "35.00", final=False)


def _lapses(world: World, hold: UUID) -> int:
    return holds.lapse_due()


RACES: dict[str, tuple[Act, datetime, Act, datetime, list[object], tuple[object, ...], str]] = {
    "a capture in time, then the sweep": (
        _captures_last, LATER - MOMENT, _lapses, LATER, ["done", "done"], ("captured", 60, 0, 0, 0), "40.00",
    ),
    "the sweep, then a capture that looked at the clock before": (
        _lapses, LATER, _captures_last, LATER - MOMENT, [1, "HoldLapsed"], ("lapsed", 0, 0, 60, 0), "100.00",
    ),
    "a release, then a capture": (
        release, NOON, _captures_last, NOON, ["done", "LedgerFault"], ("released", 0, 60, 0, 0), "100.00",
    ),
    "a capture, then a release": (
        _captures_last, NOON, release, NOON, ["done", "LedgerFault"], ("captured", 60, 0, 0, 0), "40.00",
    ),
    "two captures that do not both fit": (
        _captures_part, NOON, _captures_part, NOON, ["done", "LedgerFault"], ("open", 35, 0, 0, 25), "65.00",
    ),
    "two sweeps": (_lapses, LATER, _lapses, LATER, [1, "done"], ("lapsed", 0, 0, 60, 0), "100.00"),
}  # fmt: skip


@pytest.mark.parametrize("race", RACES)
def test_of_two_acts_at_one_instant_the_second_sees_the_first(committed_db: None, race: str) -> None:
    one, when, other, then, answers, parts, left = RACES[race]
    with clock.stopped_at(NOON - MOMENT):
        world = a_ledger(balances=["100.00"])
        hold = place_hold(world, "60.00", lapses_at=LATER)

    first: Actor
    second: Actor
    with actors(2) as (first, second):
        first.begin(_at(when, one, world, hold), stop_after=LOCK)
        second.begin(_at(then, other, world, hold))
        second.waits_for(first)
        first.go_on()
        assert [first.answer(), second.answer()] == answers

    assert parts_of(hold) == parts
    assert balance(world.wallets[0]) == Decimal(left)
    assert Account.objects.get(id=world.wallets[0]).held == parts[-1]
    assert faults() == []
