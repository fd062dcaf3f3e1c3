"""Who waits for whom, and for whom nobody waits: the locks of holds, capacity, freezes, reversals, seals, housekeeping."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction

from superapp import clock, housekeeping, outbox
from superapp.ids import uuid7
from superapp.models import OutboxEvent, User
from tests.concurrency.locks import forces
from tests.interleaving import actors, in_a_transaction
from tests.own_flows import BROUGHT_IN, MOVED, own_flows
from tests.owners_hand import the_owners_hand
from tests.wallet.ledger_world import World, a_ledger, balance, faults
from wallet import capacity, freezes, holds, ledger, reversals, sealing
from wallet.assurance import AccountFreeze
from wallet.errors import CapacityExhausted, HoldLapsed, LedgerFault, ReversalDecided
from wallet.holds import CaptureHold, PlaceHold
from wallet.ledger import Leg, Plan
from wallet.models import Account, Hold, JournalEntry

pytestmark = pytest.mark.usefixtures("module_db", "_own_kinds")


@outbox.handles("test.assurance")
def hear(payload: dict[str, Any]) -> None:
    """Delivered, and of no consequence."""


@pytest.fixture
def _own_kinds() -> Iterator[None]:
    with own_flows():
        yield


def _holding(world: World, *, lapses_in: timedelta) -> UUID:
    """10.00 of the first wallet set aside; the hold's id."""
    hold = uuid7()
    place = PlaceHold(world.wallets[0], hold, Decimal(10), uuid7(), clock.now() + lapses_in)
    with transaction.atomic():
        ledger.post(Plan(kind=MOVED, subject=uuid7(), legs=(), holds=(place,)))
    return hold


def _capturing(world: World, hold: UUID) -> Callable[[], object]:
    legs = [Leg(world.wallets[0], Decimal(-10)), Leg(world.wallets[1], Decimal(10))]
    capture = CaptureHold(world.wallets[0], hold, Decimal(10), final=True)
    return in_a_transaction(lambda: ledger.post(Plan(kind=MOVED, subject=uuid7(), legs=legs, holds=(capture,))))


@forces("accounts, by id")
def test_a_hold_that_is_being_captured_is_not_lapsed_by_the_sweep() -> None:
    world = a_ledger(balances=["10.00", "0"])
    hold = _holding(world, lapses_in=timedelta(hours=1))
    later = clock.now() + timedelta(hours=2)

    def sweep() -> int:
        with clock.stopped_at(later):
            return holds.lapse_due()

    with actors(2) as (first, second):
        first.begin(_capturing(world, hold), stop_after="FROM wallet_account")
        second.begin(sweep)
        second.waits_for(first)
        first.go_on()
        first.answer()
        assert second.answer() == 0
    assert Hold.objects.get(pk=hold).state == Hold.State.CAPTURED
    assert balance(world.wallets[1]) == 10
    assert faults() == []


@forces("accounts, by id")
def test_a_hold_that_the_sweep_is_lapsing_is_not_captured() -> None:
    world = a_ledger(balances=["10.00", "0"])
    hold = _holding(world, lapses_in=timedelta(hours=1))
    later = clock.now() + timedelta(hours=2)

    def at_its_term(job: Callable[[], Any]) -> Callable[[], Any]:
        def then() -> Any:
            with clock.stopped_at(later):
                return job()

        return then

    with actors(2) as (first, second):
        first.begin(at_its_term(holds.lapse_due), stop_after="ORDER BY id FOR NO KEY UPDATE")
        second.begin(at_its_term(_capturing(world, hold)))
        second.waits_for(first)
        first.go_on()
        assert first.answer() == 1
        with pytest.raises((HoldLapsed, LedgerFault)):
            second.answer()
    assert balance(world.wallets[0]) == 10
    assert faults() == []


@forces("accounts, by id")
def test_an_account_is_frozen_behind_the_payment_that_is_under_way_and_before_the_next() -> None:
    world = a_ledger(balances=["10.00"])
    account = world.wallets[0]
    finding = freezes.Suspicion(f"account {account}", "a test", "a test", AccountFreeze.Reason.INVARIANT)
    with actors(2) as (first, second):
        first.begin(in_a_transaction(lambda: ledger.post(world.sending(0, "4.00"))), stop_after="UPDATE wallet_account")
        second.begin(lambda: freezes.freeze([finding]))
        second.waits_for(first)
        first.go_on()
        first.answer()
        (case,) = second.answer()
    assert balance(account) == 6
    assert Account.objects.get(id=account).frozen
    freezes.lift(case_id=case.pk, by=User.objects.get(accounts=account), reason="a test")


SEATS = capacity.CapacityKind(code="test.locks", used_sql="", doc="A test's, not declared.", slots=1, decimals=0)


@forces("capacity")
def test_of_two_that_take_the_last_place_at_once_the_second_is_refused() -> None:
    place = capacity.Place(SEATS, scope=str(uuid7()))
    now = clock.now()

    def take() -> None:
        capacity.take(place, Decimal(1), total=Decimal(2), at=now)

    in_a_transaction(take)()
    with actors(2) as (first, second):
        first.begin(in_a_transaction(take), stop_after="UPDATE wallet_capacity")
        second.begin(in_a_transaction(take))
        second.waits_for(first)
        first.go_on()
        first.answer()
        with pytest.raises(CapacityExhausted):
            second.answer()
    standing = capacity.standing(place)
    assert standing is not None
    assert (standing.limit, standing.used) == (2, 2)


@forces("capacity")
def test_what_one_gives_back_the_next_that_waited_may_take() -> None:
    place = capacity.Place(SEATS, scope=str(uuid7()))
    now = clock.now()

    def take() -> None:
        capacity.take(place, Decimal(1), total=Decimal(1), at=now)

    in_a_transaction(take)()
    with actors(2) as (first, second):
        first.begin(
            in_a_transaction(lambda: capacity.give_back(place, Decimal(1))),
            stop_after="FROM wallet_capacity WHERE kind",
        )
        second.begin(in_a_transaction(take))
        second.waits_for(first)
        first.go_on()
        first.answer()
        second.answer()
    standing = capacity.standing(place)
    assert standing is not None
    assert standing.used == 1


@forces("a request to reverse")
def test_of_two_decisions_at_once_the_first_stands() -> None:
    world = a_ledger(balances=["0"])
    legs = [Leg(world.bank, Decimal(-5)), Leg(world.wallets[0], Decimal(5))]
    with transaction.atomic():
        entry = ledger.post(Plan(kind=BROUGHT_IN, subject=uuid7(), legs=legs))[0].entry_id
    asks, decides = (User.objects.create_user(phone=f"+86139{uuid7().int % 10**8:08d}") for _ in range(2))
    asked = reversals.request(entry_id=entry, reason="a test", by=asks).pk
    with actors(2) as (first, second):
        first.begin(lambda: reversals.approve(request_id=asked, by=decides), stop_after='FROM "wallet_reversalrequest"')
        second.begin(lambda: reversals.decline(request_id=asked, by=asks))
        second.waits_for(first)
        first.go_on()
        first.answer()
        with pytest.raises(ReversalDecided):
            second.answer()
    assert balance(world.wallets[0]) == 0
    assert JournalEntry.objects.filter(reverses=entry).count() == 1


@forces("the chain of seals")
def test_while_one_seals_another_has_nothing_to_do_and_does_not_wait() -> None:
    a_ledger(balances=["1.00"])
    with actors(2) as (first, second):
        first.begin(sealing.seal, stop_after="pg_try_advisory_xact_lock")
        assert second.does(sealing.seal) == 0
        first.go_on()
        first.answer()
    assert faults() == []


@forces("what is past its time")
def test_what_one_removes_another_passes_over() -> None:
    with transaction.atomic():
        event = outbox.emit("test.assurance", {})
    outbox.deliver_due(limit=1_000)
    with the_owners_hand():
        OutboxEvent.objects.filter(pk=event.pk).update(id=UUID(int=uuid7().int - ((60 * 86_400_000) << 80)))
    removing = in_a_transaction(housekeeping._remove_events)
    with actors(2) as (first, second):
        first.begin(removing, stop_after='FROM "superapp_outboxevent"')
        assert second.does(removing) == 0
        first.go_on()
        assert first.answer() == 1
