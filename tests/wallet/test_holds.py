from decimal import Decimal
from uuid import UUID

import pytest
from django.db import transaction

from payments.flows import TRANSFER_SENT
from superapp.ids import uuid7
from tests.wallet.ledger_world import World, a_ledger, everything
from wallet import flows, ledger
from wallet.errors import InsufficientFunds, LedgerFault
from wallet.holds import CaptureHold, HoldStep, PlaceHold, ReleaseHold
from wallet.ledger import Leg, Plan
from wallet.models import Account, Hold

pytestmark = pytest.mark.django_db


def _steps(*steps: HoldStep) -> None:
    ledger.post(Plan(kind=flows.TOP_UP, subject=uuid7(), legs=(), holds=steps))


def _hold(world: World, amount: str) -> UUID:
    hold = uuid7()
    _steps(PlaceHold(account=world.wallets[0], hold_id=hold, amount=Decimal(amount), subject=uuid7()))
    return hold


def _account(world: World) -> tuple[Decimal, Decimal]:
    account = Account.objects.get(id=world.wallets[0])
    return account.balance, account.held


def test_what_is_held_cannot_be_spent() -> None:
    world = a_ledger(balances=["100.00"])

    _hold(world, "60.00")

    assert _account(world) == (Decimal(100), Decimal(60))
    before = everything()
    with pytest.raises(InsufficientFunds) as refusal, transaction.atomic():
        world.send(0, "40.01")
    assert refusal.value.available == Decimal("40.00")
    assert everything() == before
    world.send(0, "40.00")


def test_more_than_is_available_cannot_be_held() -> None:
    world = a_ledger(balances=["100.00"])
    _hold(world, "60.00")
    before = everything()

    with pytest.raises(InsufficientFunds), transaction.atomic():
        _hold(world, "40.01")

    assert everything() == before


def test_a_capture_spends_from_the_hold_and_frees_the_rest() -> None:
    world = a_ledger(balances=["100.00"])
    hold = _hold(world, "60.00")

    ledger.post(
        Plan(
            kind=TRANSFER_SENT,
            subject=uuid7(),
            legs=[Leg(world.wallets[0], Decimal(-50)), Leg(world.in_transit, Decimal(50))],
            holds=[CaptureHold(account=world.wallets[0], hold_id=hold, amount=Decimal(50))],
        )
    )

    assert _account(world) == (Decimal(50), Decimal(0))
    row = Hold.objects.get(id=hold)
    assert (row.state, row.captured, row.released, row.remaining) == ("captured", 50, 10, 0)


def test_a_hold_ends_once() -> None:
    world = a_ledger(balances=["100.00"])
    hold = _hold(world, "60.00")
    _steps(ReleaseHold(account=world.wallets[0], hold_id=hold))
    before = everything()

    with pytest.raises(LedgerFault, match="no open hold"), transaction.atomic():
        _steps(ReleaseHold(account=world.wallets[0], hold_id=hold))
    with pytest.raises(LedgerFault, match="no open hold"), transaction.atomic():
        _steps(CaptureHold(account=world.wallets[0], hold_id=hold, amount=Decimal(1)))

    assert everything() == before
    assert _account(world) == (Decimal(100), Decimal(0))


def test_a_hold_of_another_account_is_out_of_reach() -> None:
    world = a_ledger(balances=["100.00", "100.00"])
    hold = _hold(world, "60.00")

    with pytest.raises(LedgerFault, match="no open hold"):
        _steps(ReleaseHold(account=world.wallets[1], hold_id=hold))


def test_more_than_the_hold_cannot_be_captured() -> None:
    world = a_ledger(balances=["100.00"])
    hold = _hold(world, "60.00")

    with pytest.raises(LedgerFault, match="cannot be captured"):
        _steps(CaptureHold(account=world.wallets[0], hold_id=hold, amount=Decimal("60.01")))
