"""`verify_ledger` names what is wrong with funds, and nothing when all is well."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.db import connection, transaction

from funds.flows import SUBSCRIPTION_CONFIRMED
from funds.models import FundOrder
from funds.order_sets import accounts_of
from superapp.ids import uuid7
from superapp.models import Run
from tests.databases import TestDatabase
from tests.funds import scenes
from wallet.ledger import Leg, Plan, post
from wallet.verification import verify


def _findings() -> list[str]:
    return [f"{found.invariant} {found.row}: {found.fault}" for each in verify().values() for found in each]


def _a_used_fund() -> None:
    fund = scenes.a_fund("2013-07-02")
    saver = scenes.a_saver(fund, "10000.00")
    with scenes.on("2013-07-01", "10:00"):
        scenes.buy(saver, fund, "9000.00")
        scenes.publish(fund, {"2013-07-02": "1.5461"})
    scenes.sweep_each_day("2013-07-02", "2013-07-03")
    with scenes.on("2013-07-03", "11:00"):
        scenes.buy(saver, fund, "10.00")
        scenes.sell(saver, fund, "10.00")


def _orders(**changes: object) -> Callable[[], object]:
    return lambda: FundOrder.objects.filter(state="placed", side="subscribe").update(**changes)


def _run_figures() -> None:
    run = Run.objects.get()
    run.figures = {**run.figures, "paid": "7.00"}
    run.save(update_fields=["figures"])


def _shrunk_redemption() -> None:
    FundOrder.objects.filter(state="placed", side="redeem").update(amount="9.99")


def _posted_figure() -> None:
    with connection.cursor() as cursor:
        cursor.execute('UPDATE superapp_runbatch SET figures = figures || \'{"posted": "1.00"}\'')


def _shares_from_the_past() -> None:
    """For an order that nobody placed, counting from a day whose income has been paid."""
    bought = FundOrder.objects.get(state="confirmed")
    share = Decimal(1)
    legs = [Leg(bought.share_account_id, share), Leg(accounts_of(bought.fund)["fund_issued"], -share)]
    with transaction.atomic():
        post(Plan(kind=SUBSCRIPTION_CONFIRMED, subject=uuid7(), legs=legs, effective_at=scenes.at("2013-07-02")))


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (
            _orders(amount="11.00"),
            "I21 account fund_orders of YEB: its balance is 10.0000, its open orders make 11.0000",
        ),
        (_orders(state="confirmed"), "I9 fund order"),
        (_run_figures, "I18 run"),
        (_posted_figure, "its batches posted 1.00"),
        (_shrunk_redemption, "I8 fund order"),
        (_shares_from_the_past, "I19 entry"),
    ],
)
def test_a_spoiled_row_is_named(committed_db: TestDatabase, spoil: Callable[[], object], named: str) -> None:
    _a_used_fund()
    assert _findings() == []

    spoil()

    assert any(named in finding for finding in _findings())
