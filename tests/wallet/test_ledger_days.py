"""Paying a range of accounts in one statement: what it writes, whom it leaves out, what it refuses."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction

from superapp import clock
from superapp.ids import uuid7
from tests.many import at_once
from tests.wallet.ledger_world import World, a_ledger, balance, everything, faults, postings_of
from wallet import flows
from wallet.accounts import currency_asset
from wallet.balances import balance_of
from wallet.errors import LedgerFault
from wallet.ledger_days import RangePaid, post_to_range
from wallet.models import Account, JournalEntry

pytestmark = pytest.mark.django_db


def _pay(world: World, **differently: Any) -> RangePaid:
    """A hundredth of each balance, to wallets that have at least 1.00."""
    options: dict[str, Any] = {
        "kind": flows.TOP_UP,
        "account_kind": flows.WALLET,
        "asset": currency_asset("CNY"),
        "low": min(world.wallets),
        "high": max(world.wallets),
        "amount": "trunc(a.balance * %(share)s, 2)",
        "condition": "a.balance >= 1",
        "params": {"share": Decimal("0.01")},
        "against": world.bank,
        "entry": uuid7(),
        "subject": uuid7(),
        "effective_at": clock.now() - timedelta(minutes=1),
    }
    with transaction.atomic():
        return post_to_range(**{**options, **differently})


def test_each_account_of_the_range_is_paid_what_its_row_comes_to_in_one_entry() -> None:
    world = a_ledger(balances=["100.00", "0.50", "250.99", "777.00"])
    subject = uuid7()
    bank = balance_of(world.bank)

    paid = _pay(world, subject=subject, low=world.wallets[0], high=world.wallets[2])

    assert (paid.accounts, paid.amount) == (2, Decimal("3.50"))
    assert postings_of(world.wallets[0]) == [(1, 100, 100), (2, 1, 101)]
    assert postings_of(world.wallets[1]) == [(1, Decimal("0.5"), Decimal("0.5"))]
    assert postings_of(world.wallets[2])[1] == (2, Decimal("2.50"), Decimal("253.49"))
    assert balance(world.wallets[3]) == 777
    assert balance_of(world.bank) == bank - Decimal("3.50")
    entry = JournalEntry.objects.get(subject=subject)
    assert (entry.kind, entry.postings.count(), entry.recorded_at) == ("top_up", 3, paid.recorded_at)
    assert faults() == []


def test_a_range_that_gets_nothing_leaves_no_entry() -> None:
    world = a_ledger(balances=["0.10", "0"])
    before = everything()
    assert _pay(world).accounts == 0
    assert everything() == before


def test_closed_accounts_and_those_written_to_later_are_left_out() -> None:
    world = a_ledger(balances=["100.00", "100.00", "100.00"])
    Account.objects.filter(id=world.wallets[0]).update(closed=True)
    Account.objects.filter(id=world.wallets[1]).update(last_recorded_at=clock.now() + timedelta(hours=1))

    paid = _pay(world)

    assert (paid.accounts, paid.amount) == (1, 1)
    assert [balance(wallet) for wallet in world.wallets] == [100, 100, 101]


def test_an_account_that_is_frozen_is_paid_like_any_other() -> None:
    world = a_ledger(balances=["100.00"])
    Account.objects.filter(id=world.wallets[0]).update(frozen=True)
    assert _pay(world).amount == 1


@pytest.mark.parametrize(
    ("differently", "says"),
    [
        (lambda _: {"amount": "-0.01"}, "above zero"),
        (lambda _: {"amount": "a.balance * 0.00001"}, "decimals"),
        (lambda world: {"against": world.in_transit}, "may not take from"),
        (lambda world: {"against": world.wallets[0]}, "no folded account"),
        (lambda _: {"account_kind": flows.FUND}, "may not pay"),
        (lambda _: {"account_kind": flows.IN_TRANSIT}, "may not pay"),
        (lambda _: {"effective_at": clock.now() + timedelta(hours=1)}, "before it is known"),
    ],
)
def test_what_does_not_fit_the_flow_writes_nothing(differently: Callable[[World], dict[str, Any]], says: str) -> None:
    world = a_ledger(balances=["100.00", "200.00"])
    before = everything()
    with pytest.raises(LedgerFault, match=says):
        _pay(world, **differently(world))
    assert everything() == before


IN_ORDER_OF_IDS = ("wallet_account_pkey", "account_by_asset_and_kind")


def test_rows_are_locked_in_the_order_of_ids_also_where_the_table_is_small() -> None:
    """Two sets that lock the same accounts in different orders would wait for each other for ever."""
    world = a_ledger(balances=["100.00", "200.00"])
    plans: list[str] = []

    def explain(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if "UPDATE wallet_account" in sql:
            execute(f"EXPLAIN {sql}", params, many, context)
            plans.extend(line for (line,) in context["cursor"].fetchall())
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        _pay(world)

    update = next(number for number, line in enumerate(plans) if "Update on wallet_account" in line)
    # Either yields the rows of one asset and kind in the order of their ids; what leads by owner would not.
    assert any(f"Index Scan using {index} on" in plans[update + 1] for index in IN_ORDER_OF_IDS), plans[update + 1]


def test_without_a_transaction_nothing_is_paid() -> None:
    world = a_ledger(balances=["100.00"])
    asset = currency_asset("CNY")

    def pay() -> RangePaid:
        return post_to_range(
            kind=flows.TOP_UP,
            account_kind=flows.WALLET,
            asset=asset,
            low=world.wallets[0],
            high=world.wallets[0],
            amount="1",
            condition="true",
            params={},
            against=world.bank,
            entry=uuid7(),
            subject=uuid7(),
            effective_at=clock.now(),
        )

    (refused,) = at_once([pay])
    assert isinstance(refused, transaction.TransactionManagementError)
