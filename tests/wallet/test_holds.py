from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from django.db import IntegrityError, transaction

from payments.flows import TRANSFER_SENT
from superapp import clock
from superapp.ids import uuid7
from tests.picture import nothing_changes
from tests.wallet.ledger_world import World, a_ledger, everything, faults
from wallet import flows, holds, ledger
from wallet.balances import balance_of
from wallet.errors import AccountClosed, AccountFrozen, HoldLapsed, InsufficientFunds, LedgerFault
from wallet.holds import CaptureHold, HoldStep, PlaceHold, ReleaseHold
from wallet.ledger import Leg, Plan
from wallet.ledger_sets import SetResult, post_set
from wallet.models import Account, Hold

pytestmark = pytest.mark.django_db

NOON = datetime(2030, 3, 1, 4, 0, tzinfo=clock.business_zone())
LATER = NOON + timedelta(hours=2)
MOMENT = timedelta(microseconds=1)


def _steps(*steps: HoldStep) -> None:
    with transaction.atomic():
        ledger.post(Plan(kind=flows.TOP_UP, subject=uuid7(), legs=(), holds=steps))


def place_hold(world: World, amount: str, *, lapses_at: datetime | None = None) -> UUID:
    hold = uuid7()
    _steps(
        PlaceHold(account=world.wallets[0], hold_id=hold, amount=Decimal(amount), subject=uuid7(), lapses_at=lapses_at)
    )
    return hold


def capture(world: World, hold: UUID, amount: str, *, final: bool) -> None:
    """Spends from the hold, in a transaction of its own."""
    value = Decimal(amount)
    legs = [Leg(world.wallets[0], -value), Leg(world.in_transit, value)]
    step = CaptureHold(account=world.wallets[0], hold_id=hold, amount=value, final=final)
    with transaction.atomic():
        ledger.post(Plan(kind=TRANSFER_SENT, subject=uuid7(), legs=legs, holds=[step]))


def release(world: World, hold: UUID, amount: str | None = None) -> None:
    step = ReleaseHold(account=world.wallets[0], hold_id=hold, amount=None if amount is None else Decimal(amount))
    with transaction.atomic():
        _steps(step)


def parts_of(hold: UUID) -> tuple[str, Decimal, Decimal, Decimal, Decimal]:
    """State, captured, released, lapsed, remaining."""
    row = Hold.objects.get(id=hold)
    return row.state, row.captured, row.released, row.lapsed, row.remaining


def balance_and_held(world: World) -> tuple[Decimal, Decimal]:
    account = Account.objects.get(id=world.wallets[0])
    return account.balance, account.held


def test_what_is_held_cannot_be_spent() -> None:
    world = a_ledger(balances=["100.00"])

    place_hold(world, "60.00")

    assert balance_and_held(world) == (Decimal(100), Decimal(60))
    before = everything()
    with pytest.raises(InsufficientFunds) as refusal, transaction.atomic():
        world.send(0, "40.01")
    assert refusal.value.available == Decimal("40.00")
    assert everything() == before
    world.send(0, "40.00")


def test_more_than_is_available_cannot_be_held() -> None:
    world = a_ledger(balances=["100.00"])
    place_hold(world, "60.00")
    before = everything()

    with pytest.raises(InsufficientFunds), transaction.atomic():
        place_hold(world, "40.01")

    assert everything() == before


def test_a_capture_spends_from_the_hold_and_frees_the_rest() -> None:
    world = a_ledger(balances=["100.00"])
    hold = place_hold(world, "60.00")

    ledger.post(
        Plan(
            kind=TRANSFER_SENT,
            subject=uuid7(),
            legs=[Leg(world.wallets[0], Decimal(-50)), Leg(world.in_transit, Decimal(50))],
            holds=[CaptureHold(account=world.wallets[0], hold_id=hold, amount=Decimal(50), final=True)],
        )
    )

    assert balance_and_held(world) == (Decimal(50), Decimal(0))
    row = Hold.objects.get(id=hold)
    assert (row.state, row.captured, row.released, row.remaining) == ("captured", 50, 10, 0)


def test_a_hold_ends_once() -> None:
    world = a_ledger(balances=["100.00"])
    hold = place_hold(world, "60.00")
    _steps(ReleaseHold(account=world.wallets[0], hold_id=hold))
    before = everything()

    with pytest.raises(LedgerFault, match="no open hold"), transaction.atomic():
        _steps(ReleaseHold(account=world.wallets[0], hold_id=hold))
    with pytest.raises(LedgerFault, match="no open hold"), transaction.atomic():
        _steps(CaptureHold(account=world.wallets[0], hold_id=hold, amount=Decimal(1), final=True))

    assert everything() == before
    assert balance_and_held(world) == (Decimal(100), Decimal(0))


def test_a_hold_of_another_account_is_out_of_reach() -> None:
    world = a_ledger(balances=["100.00", "100.00"])
    hold = place_hold(world, "60.00")

    with pytest.raises(LedgerFault, match="no open hold"):
        _steps(ReleaseHold(account=world.wallets[1], hold_id=hold))


def test_more_than_the_hold_cannot_be_captured() -> None:
    world = a_ledger(balances=["100.00"])
    hold = place_hold(world, "60.00")

    with pytest.raises(LedgerFault, match="cannot be captured"):
        _steps(CaptureHold(account=world.wallets[0], hold_id=hold, amount=Decimal("60.01"), final=True))


def test_a_hold_is_captured_in_parts_until_a_final_one_frees_the_rest() -> None:
    world = a_ledger(balances=["100.00"])
    hold = place_hold(world, "60.00")

    capture(world, hold, "10.00", final=False)
    assert (parts_of(hold), balance_and_held(world)) == (("open", 10, 0, 0, 50), (Decimal(90), Decimal(50)))
    capture(world, hold, "20.00", final=False)
    assert (parts_of(hold), balance_and_held(world)) == (("open", 30, 0, 0, 30), (Decimal(70), Decimal(30)))
    capture(world, hold, "5.00", final=True)

    assert (parts_of(hold), balance_and_held(world)) == (("captured", 35, 25, 0, 0), (Decimal(65), Decimal(0)))
    row = Hold.objects.get(id=hold)
    assert row.ended_at == Account.objects.get(id=world.wallets[0]).last_recorded_at
    assert balance_of(world.in_transit) == Decimal(35)
    assert faults() == []


def test_a_capture_of_the_last_part_ends_the_hold_though_it_was_not_called_final() -> None:
    world = a_ledger(balances=["100.00"])
    hold = place_hold(world, "60.00")

    capture(world, hold, "40.00", final=False)
    capture(world, hold, "20.00", final=False)

    assert (parts_of(hold), balance_and_held(world)) == (("captured", 60, 0, 0, 0), (Decimal(40), Decimal(0)))
    with pytest.raises(LedgerFault, match="no open hold"), nothing_changes(), transaction.atomic():
        capture(world, hold, "0.01", final=True)


def test_a_hold_is_released_in_parts_and_what_is_left_can_be_captured() -> None:
    world = a_ledger(balances=["100.00"])
    hold = place_hold(world, "60.00")

    release(world, hold, "15.00")
    assert (parts_of(hold), balance_and_held(world)) == (("open", 0, 15, 0, 45), (Decimal(100), Decimal(45)))
    with pytest.raises(LedgerFault, match="cannot be captured"), nothing_changes():
        capture(world, hold, "45.01", final=True)
    with pytest.raises(LedgerFault, match="cannot be released"), nothing_changes():
        release(world, hold, "45.01")
    capture(world, hold, "40.00", final=False)
    release(world, hold, "5.00")

    assert (parts_of(hold), balance_and_held(world)) == (("released", 40, 20, 0, 0), (Decimal(60), Decimal(0)))
    assert faults() == []


def test_steps_of_one_call_see_each_other() -> None:
    world = a_ledger(balances=["100.00"])
    wallet, hold = world.wallets[0], uuid7()
    legs = [Leg(wallet, Decimal(-30)), Leg(world.in_transit, Decimal(30))]
    place = PlaceHold(account=wallet, hold_id=hold, amount=Decimal(100), subject=uuid7())
    capture = CaptureHold(account=wallet, hold_id=hold, amount=Decimal(30), final=False)
    release = ReleaseHold(account=wallet, hold_id=hold, amount=Decimal(20))

    ledger.post(
        Plan(kind=flows.TOP_UP, subject=uuid7(), legs=(), holds=[place]),
        Plan(kind=TRANSFER_SENT, subject=uuid7(), legs=legs, holds=[capture]),
        Plan(kind=flows.TOP_UP, subject=uuid7(), legs=(), holds=[release]),
    )

    assert (parts_of(hold), balance_and_held(world)) == (("open", 30, 20, 0, 50), (Decimal(70), Decimal(50)))
    assert faults() == []


def test_a_hold_is_captured_up_to_the_moment_before_its_term_and_not_at_it() -> None:
    with clock.stopped_at(NOON):
        world = a_ledger(balances=["100.00"])
        hold = place_hold(world, "60.00", lapses_at=LATER)
    with clock.stopped_at(LATER - MOMENT):
        capture(world, hold, "10.00", final=False)

    with clock.stopped_at(LATER), pytest.raises(HoldLapsed) as refusal, nothing_changes():
        capture(world, hold, "10.00", final=False)

    assert refusal.value.lapsed_at == LATER
    assert parts_of(hold) == ("open", 10, 0, 0, 50)


def test_a_hold_cannot_be_placed_with_a_term_that_has_come() -> None:
    with clock.stopped_at(NOON):
        world = a_ledger(balances=["100.00"])
        with pytest.raises(LedgerFault, match="cannot be placed"), nothing_changes(), transaction.atomic():
            place_hold(world, "60.00", lapses_at=NOON)


@pytest.mark.parametrize(("state", "refusal"), [("closed", AccountClosed), ("frozen", AccountFrozen)])
def test_an_account_that_takes_no_more_takes_no_hold_and_gives_back_the_one_it_has(
    state: str, refusal: type[Exception]
) -> None:
    world = a_ledger(balances=["100.00"])
    hold = place_hold(world, "60.00")
    Account.objects.filter(id=world.wallets[0]).update(**{state: True})

    with pytest.raises(refusal), nothing_changes(), transaction.atomic():
        place_hold(world, "1.00")
    with pytest.raises(refusal), nothing_changes():
        capture(world, hold, "1.00", final=True)
    release(world, hold)

    assert (parts_of(hold), balance_and_held(world)) == (("released", 0, 60, 0, 0), (Decimal(100), Decimal(0)))


CAPTURE_LEGS = """
    SELECT i.item, 2 * i.place + s.side AS position, CASE s.side WHEN 0 THEN %(wallet)s::uuid ELSE %(other)s::uuid END
           AS account_id, CASE s.side WHEN 0 THEN -i.amount ELSE i.amount END AS amount, i.item AS subject
    FROM unnest(%(items)s::uuid[], %(amounts)s::numeric[]) WITH ORDINALITY AS i (item, amount, place),
         (VALUES (0), (1)) AS s (side)
"""
CAPTURES = """
    SELECT i.item, i.hold_id, %(wallet)s::uuid AS account_id, i.amount, i.final
    FROM unnest(%(items)s::uuid[], %(holds)s::uuid[], %(amounts)s::numeric[], %(finals)s::bool[])
         AS i (item, hold_id, amount, final)
"""


def _capture_set(world: World, rows: list[tuple[UUID, str, bool]], **options: object) -> tuple[SetResult, list[UUID]]:
    items = [uuid7() for _ in rows]
    params = {
        "items": items,
        "wallet": world.wallets[0],
        "other": world.in_transit,
        "holds": [hold for hold, _, _ in rows],
        "amounts": [Decimal(amount) for _, amount, _ in rows],
        "finals": [final for _, _, final in rows],
    }
    with transaction.atomic():
        result = post_set(kind=TRANSFER_SENT, legs=CAPTURE_LEGS, captures=CAPTURES, params=params, **options)  # type: ignore[arg-type]
    return result, items


def test_a_set_captures_parts_and_refuses_the_items_whose_holds_have_lapsed() -> None:
    with clock.stopped_at(NOON):
        world = a_ledger(balances=["100.00"])
        part, last, whole = (
            place_hold(world, "20.00"),
            place_hold(world, "20.00"),
            place_hold(world, "20.00", lapses_at=LATER + MOMENT),
        )
        late = place_hold(world, "40.00", lapses_at=LATER)

    with clock.stopped_at(LATER):
        result, items = _capture_set(
            world, [(part, "5.00", False), (late, "40.00", True), (last, "20.00", False), (whole, "15.00", True)]
        )

    assert (result.posted, result.refused) == (3, {items[1]: "HOLD_LAPSED"})
    assert parts_of(part) == ("open", 5, 0, 0, 15)
    assert parts_of(last) == ("captured", 20, 0, 0, 0)
    assert parts_of(whole) == ("captured", 15, 5, 0, 0)
    assert parts_of(late) == ("open", 0, 0, 0, 40)
    assert [hold.ended_at for hold in Hold.objects.filter(id__in=[last, whole])] == [LATER, LATER]
    assert balance_and_held(world) == (Decimal(60), Decimal(55))
    assert faults() == []


def test_a_set_that_is_one_entry_raises_when_a_hold_has_lapsed() -> None:
    with clock.stopped_at(NOON):
        world = a_ledger(balances=["100.00"])
        late = place_hold(world, "40.00", lapses_at=LATER)

    with clock.stopped_at(LATER), pytest.raises(HoldLapsed), nothing_changes():
        _capture_set(world, [(late, "1.00", True)], one_entry=uuid7(), subject=uuid7())


def test_a_set_takes_no_more_from_a_hold_than_is_left_whatever_was_released_before() -> None:
    world = a_ledger(balances=["100.00"])
    hold = place_hold(world, "60.00")
    release(world, hold, "30.00")

    with pytest.raises(LedgerFault, match="not that much left"), nothing_changes():
        _capture_set(world, [(hold, "40.00", True)])


def test_parts_of_holds_are_freed_in_a_set() -> None:
    world = a_ledger(balances=["100.00"])
    some, all_of_it = place_hold(world, "30.00"), place_hold(world, "20.00")

    with transaction.atomic():
        ledger.lock_accounts(world.wallets)
        freed = holds.free_in_set(
            parts="SELECT * FROM unnest(%(holds)s::uuid[], ARRAY[10, 20]::numeric[]) AS p (hold_id, amount)",
            params={"holds": [some, all_of_it]},
        )

    assert freed == 2
    assert (parts_of(some), parts_of(all_of_it)) == (("open", 0, 10, 0, 20), ("released", 0, 20, 0, 0))
    assert balance_and_held(world) == (Decimal(100), Decimal(20))
    assert faults() == []


def test_every_statement_moves_holds_from_open_and_no_state_leads_on_from_an_end() -> None:
    assert {state for state, onward in holds.MOVES.items() if onward} == {Hold.State.OPEN}
    assert holds.MOVES[Hold.State.OPEN] == set(Hold.State)


def test_the_database_refuses_an_open_hold_that_holds_nothing_and_a_lapse_without_a_term() -> None:
    world = a_ledger(balances=["100.00"])
    hold = place_hold(world, "60.00")

    with pytest.raises(IntegrityError, match="an_open_hold_holds_something"), transaction.atomic():
        Hold.objects.filter(id=hold).update(remaining=0, released=60)
    with pytest.raises(IntegrityError, match="only_a_hold_with_a_term_lapses"), transaction.atomic():
        Hold.objects.filter(id=hold).update(remaining=0, lapsed=60, state="lapsed")


def test_verification_finds_an_end_that_the_amounts_do_not_show() -> None:
    world = a_ledger(balances=["100.00"])
    hold = place_hold(world, "60.00")
    release(world, hold)

    Hold.objects.filter(id=hold).update(state="captured")

    assert [(each.invariant, each.row) for each in faults()] == [("I9", f"hold {hold}")]
