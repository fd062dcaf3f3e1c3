"""Many connections at one ledger, really at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier
from typing import TypeVar

import pytest
from django.db import connection, transaction

from payments.flows import TRANSFER_SENT, TRANSFER_SETTLED
from superapp.ids import uuid7
from tests.waiting import PATIENCE_SECONDS
from tests.wallet.ledger_world import a_ledger, balance, faults
from wallet import accounts, flows, ledger
from wallet.balances import balance_of
from wallet.errors import InsufficientFunds
from wallet.flows import IN_TRANSIT
from wallet.ledger import Leg, Plan
from wallet.ledger_sets import post_set
from wallet.models import Account

Answer = TypeVar("Answer")


def _at_once(calls: list[Callable[[], Answer]]) -> list[Answer]:
    """Runs all calls at the same moment, each on a connection of its own."""
    barrier = Barrier(len(calls))

    def one(call: Callable[[], Answer]) -> Answer:
        try:
            barrier.wait(PATIENCE_SECONDS)
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=len(calls)) as pool:
        return [future.result() for future in [pool.submit(one, call) for call in calls]]


def test_of_fifty_spends_of_the_last_hundred_one_wins(committed_db: None) -> None:
    world = a_ledger(balances=["100.00"])

    def spend() -> bool:
        try:
            world.send(0, "100.00")
        except InsufficientFunds:
            return False
        return True

    won = _at_once([spend] * 50)

    assert won.count(True) == 1
    assert balance(world.wallets[0]) == 0
    assert balance_of(world.in_transit) == Decimal(100)
    assert faults() == []


def test_opposite_directions_do_not_wait_for_each_other_for_ever(committed_db: None) -> None:
    world = a_ledger(balances=["100.00", "100.00", "100.00"])

    def move(giver: int, taker: int) -> None:
        for _ in range(10):
            # Two plans of one call: out of one wallet, into another, so that each call locks both rows.
            with transaction.atomic():
                ledger.post(
                    world.sending(giver, "1.00"),
                    Plan(
                        kind=TRANSFER_SETTLED,
                        subject=uuid7(),
                        legs=[Leg(world.in_transit, Decimal(-1)), Leg(world.wallets[taker], Decimal(1))],
                    ),
                )

    pairs = [(0, 1), (1, 0), (1, 2), (2, 1), (2, 0), (0, 2)] * 2
    _at_once([lambda pair=pair: move(*pair) for pair in pairs])  # type: ignore[misc]

    assert [balance(wallet) for wallet in world.wallets] == [Decimal(100)] * 3
    assert faults() == []


def test_sets_and_singles_on_the_same_accounts_agree(committed_db: None) -> None:
    world = a_ledger(balances=["500.00"] * 4)
    legs = """
        SELECT item, 2 * n AS position, account AS account_id, -1.00::numeric AS amount, item AS subject
        FROM unnest(%(items)s::uuid[], %(accounts)s::uuid[]) WITH ORDINALITY AS i (item, account, n)
        UNION ALL
        SELECT item, 2 * n + 1, %(transit)s::uuid, 1.00, item
        FROM unnest(%(items)s::uuid[], %(accounts)s::uuid[]) WITH ORDINALITY AS i (item, account, n)
    """

    def a_set() -> None:
        for turn in range(5):
            wallets = world.wallets[turn % 4 :] + world.wallets[: turn % 4]
            with transaction.atomic():
                post_set(
                    kind=TRANSFER_SENT,
                    legs=legs,
                    params={"items": [uuid7() for _ in wallets], "accounts": wallets, "transit": world.in_transit},
                )

    def singles() -> None:
        for turn in range(20):
            world.send(turn % 4, "1.00")

    _at_once([a_set, singles] * 4)

    assert balance_of(world.in_transit) == Decimal(4 * 5 * 4 + 4 * 20)
    assert sum(balance(wallet) for wallet in world.wallets) == Decimal(2000) - Decimal(160)
    assert faults() == []


def test_an_account_opened_by_many_at_once_is_one(committed_db: None) -> None:
    world = a_ledger(balances=["0"])
    owner = Account.objects.get(id=world.wallets[0]).owner_id
    assert owner is not None

    def open_dollars() -> object:
        return accounts.open_account(owner_id=owner, kind=flows.WALLET, asset=accounts.currency_asset("USD")).id

    def open_transit() -> object:
        return accounts.system_account(IN_TRANSIT, accounts.currency_asset("EUR"))

    assert len(set(_at_once([open_dollars] * 8))) == 1
    assert len(set(_at_once([open_transit] * 8))) == 1


def test_outside_a_transaction_nothing_is_written(committed_db: None) -> None:
    with pytest.raises(transaction.TransactionManagementError):
        ledger.post()
    with pytest.raises(transaction.TransactionManagementError):
        post_set(kind=TRANSFER_SENT, legs="SELECT 1", params={})
