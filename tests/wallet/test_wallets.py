"""W15: available, held and pending add up to the ledger at each step."""

from decimal import Decimal

from django.db import transaction

from payments import settlement
from payments.flows import TRANSFER_SENT
from superapp.ids import uuid7
from superapp.models import User
from tests.factories import a_payer, a_transfer
from wallet import holds, ledger, wallets
from wallet.accounts import currency_asset, system_account
from wallet.balances import balance_of
from wallet.flows import BANK, IN_TRANSIT


def parts(*people: User) -> list[tuple[str, str, str]]:
    shown = []
    for person in people:
        (position,) = wallets.positions(list(wallets.accounts_of(person.pk)))
        assert position.balance == position.available + position.held
        shown.append((f"{position.available:.2f}", f"{position.held:.2f}", f"{position.pending:.2f}"))
    return shown


def assert_the_parts_add_up_to_the_ledger(*people: User) -> None:
    positions = [position for person in people for position in wallets.positions(list(wallets.accounts_of(person.pk)))]
    cash = currency_asset("CNY")
    assert sum(position.pending for position in positions) == balance_of(system_account(IN_TRANSIT, cash))
    total = sum(position.balance + position.pending for position in positions)
    assert total == -balance_of(system_account(BANK, cash))


def test_the_parts_add_up_to_the_ledger_at_each_step(db: None) -> None:
    ann, ben = a_payer("100.00"), a_payer("0")
    account = wallets.wallet_of(owner_id=ann.pk, currency="CNY").id
    everyone = (ann, ben)
    assert parts(*everyone) == [("100.00", "0.00", "0.00"), ("0.00", "0.00", "0.00")]
    assert_the_parts_add_up_to_the_ledger(*everyone)

    hold, order = uuid7(), uuid7()
    with transaction.atomic():
        ledger.post(
            ledger.Plan(
                kind=TRANSFER_SENT,
                subject=order,
                legs=(),
                holds=[holds.PlaceHold(hold_id=hold, account=account, amount=Decimal("30.00"), subject=order)],
            )
        )
    assert parts(*everyone) == [("70.00", "30.00", "0.00"), ("0.00", "0.00", "0.00")]
    assert_the_parts_add_up_to_the_ledger(*everyone)

    a_transfer(ann, ben, "20.00")
    assert parts(*everyone) == [("50.00", "30.00", "0.00"), ("0.00", "0.00", "20.00")]
    assert_the_parts_add_up_to_the_ledger(*everyone)

    settlement.settle_everything_due()
    assert parts(*everyone) == [("50.00", "30.00", "0.00"), ("20.00", "0.00", "0.00")]
    assert_the_parts_add_up_to_the_ledger(*everyone)

    a_transfer(ben, ann, "5.00")
    assert parts(*everyone) == [("50.00", "30.00", "5.00"), ("15.00", "0.00", "0.00")]
    assert_the_parts_add_up_to_the_ledger(*everyone)
