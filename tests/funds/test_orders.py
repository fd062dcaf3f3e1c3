"""F03, F04, F07, F33 and what can be asked of an order before its day."""

from decimal import Decimal

import pytest

from funds import catalogue, order_sets, orders
from funds.catalogue import ALLOWED, Operation
from funds.errors import (
    BelowMinimum,
    FundOperationRefused,
    NothingToRedeem,
    OrderNotCancellable,
    RedemptionOfAllOpen,
    TermsNotAccepted,
)
from funds.models import Fund, FundOrder
from superapp.errors import IdempotencyKeyReused, InvalidAmount, NotFound
from superapp.ids import uuid7
from tests import factories
from tests.databases import TestDatabase
from tests.funds import scenes
from wallet.errors import InsufficientFunds, WalletNotOpen
from wallet.flows import FUND_CASH, FUND_ORDERS, REDEMPTIONS, WALLET
from wallet.models import Account, JournalEntry


def test_a_first_purchase_waits_for_the_current_terms(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund()
    with scenes.on("2013-07-01", "09:00"):
        person = factories.a_payer("100.00", pin=None)
        entries = JournalEntry.objects.count()
        with pytest.raises(TermsNotAccepted) as refused:
            scenes.buy(person, fund, "10.00")
        assert refused.value.version == 1
        with pytest.raises(TermsNotAccepted):
            catalogue.accept_terms(person_id=person.id, fund_code=fund.code, version=2)
        assert (scenes.cash_of(person), JournalEntry.objects.count()) == (Decimal("100.00"), entries)

        catalogue.accept_terms(person_id=person.id, fund_code=fund.code, version=1)
        scenes.buy(person, fund, "10.00")

        catalogue.publish_terms(fund=fund, text="Other terms.")
        with pytest.raises(TermsNotAccepted) as refused:
            scenes.buy(person, fund, "10.00")
        assert refused.value.version == 2


@pytest.mark.parametrize("amount", ["0.001", "10.005", "0", "-1.00"])
def test_what_is_no_amount_is_refused(committed_db: TestDatabase, amount: str) -> None:
    fund = scenes.a_fund()
    person = scenes.a_saver(fund, "100.00")
    with scenes.on("2013-07-01", "09:00"), pytest.raises(InvalidAmount):
        scenes.buy(person, fund, amount)
    assert not FundOrder.objects.exists()


def test_less_than_the_minimum_is_refused(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund(minimum=Decimal("1.00"))
    person = scenes.a_saver(fund, "100.00")
    with scenes.on("2013-07-01", "09:00"):
        with pytest.raises(BelowMinimum):
            scenes.buy(person, fund, "0.99")
        scenes.buy(person, fund, "1.00")


def test_an_unknown_fund_and_a_missing_wallet_are_said_to_be_so(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund()
    with scenes.on("2013-07-01", "09:00"):
        person = factories.a_person()
        catalogue.accept_terms(person_id=person.id, fund_code=fund.code, version=1)
        with pytest.raises(WalletNotOpen):
            scenes.buy(person, fund, "1.00")
        with pytest.raises(NotFound):
            orders.subscribe(person_id=person.id, fund_code="NONE", amount=Decimal(1), currency="CNY", key=str(uuid7()))


def test_unconfirmed_money_earns_nothing_and_cannot_be_spent_or_redeemed(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund("2013-07-01")
    person = scenes.a_saver(fund, "100.00")
    with scenes.on("2013-07-01", "15:00"):  # T = Tuesday, earns from Wednesday
        scenes.buy(person, fund, "100.00")
        assert scenes.cash_of(person) == 0
        assert scenes.system_balance(FUND_ORDERS, fund) == Decimal("100.00")
        with pytest.raises(NothingToRedeem):
            scenes.sell(person, fund, None)
        with pytest.raises(InsufficientFunds):
            scenes.buy(person, fund, "0.01")
        scenes.publish(fund, {"2013-07-01": "1.5787", "2013-07-02": "1.5461", "2013-07-03": "100.0000"})
    scenes.sweep_each_day("2013-07-02", "2013-07-04")

    assert scenes.incomes(person, fund) == ["1.00"]  # Wednesday's only
    scenes.nothing_is_wrong()


def test_the_dry_run_shows_the_first_income_day_and_leaves_nothing_behind(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund()
    person = scenes.a_saver(fund, "100.00")
    with scenes.on("2013-07-05", "14:59:59.999"):
        tried = scenes.buy(person, fund, "10.00", dry_run=True)
        assert not FundOrder.objects.exists()
        assert scenes.cash_of(person) == Decimal("100.00")
        done = scenes.buy(person, fund, "10.00")
    assert (tried.trade_day, tried.first_income_day) == (done.trade_day, done.first_income_day)
    assert str(tried.first_income_day) == "2013-07-08"


def test_the_same_key_places_one_order(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund()
    person = scenes.a_saver(fund, "100.00")

    def place(amount: str) -> orders.PlacedOrder:
        return orders.subscribe(
            person_id=person.id, fund_code=fund.code, amount=Decimal(amount), currency="CNY", key="one"
        )

    with scenes.on("2013-07-01", "09:00"):
        first, again = place("10.00"), place("10.00")
        assert again.order_id == first.order_id
        assert again.replayed
        with pytest.raises(IdempotencyKeyReused):
            place("11.00")
    assert scenes.cash_of(person) == Decimal("90.00")


def test_a_cancelled_subscription_gives_the_cash_back_until_the_cut_off(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund()
    person = scenes.a_saver(fund, "100.00")
    with scenes.on("2013-07-01", "10:00"):
        first, second = (scenes.buy(person, fund, "30.00") for _ in range(2))
    with scenes.on("2013-07-01", "14:59:59.999999"):
        orders.cancel(person_id=person.id, order_id=first.order_id, key="a")
        orders.cancel(person_id=person.id, order_id=first.order_id, key="a")
        assert scenes.cash_of(person) == Decimal("70.00")
        with pytest.raises(OrderNotCancellable):
            orders.cancel(person_id=person.id, order_id=first.order_id, key="b")
        with pytest.raises(NotFound):
            orders.cancel(person_id=factories.a_person().id, order_id=second.order_id, key="c")
    with scenes.on("2013-07-01", "15:00"), pytest.raises(OrderNotCancellable):
        orders.cancel(person_id=person.id, order_id=second.order_id, key="d")

    scenes.sweep_each_day("2013-07-02", "2013-07-02")
    assert scenes.shares_of(person, fund) == Decimal("30.00")
    assert scenes.system_balance(FUND_ORDERS, fund) == 0
    scenes.nothing_is_wrong()


def test_a_cancelled_redemption_frees_the_shares(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund("2013-07-02")
    person = scenes.a_saver(fund, "100.00")
    with scenes.on("2013-07-01", "10:00"):
        scenes.buy(person, fund, "100.00")
    with scenes.on("2013-07-02", "10:00"):
        scenes.sweep()
        placed = scenes.sell(person, fund, "60.00")
        with pytest.raises(InsufficientFunds):
            scenes.sell(person, fund, "40.01")
        orders.cancel(person_id=person.id, order_id=placed.order_id, key="a")
        scenes.sell(person, fund, "100.00")
    scenes.nothing_is_wrong()


def test_a_redemption_leaves_at_midnight_and_pays_after_the_settlement(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund("2013-07-02")
    person = scenes.a_saver(fund, "100.00")
    with scenes.on("2013-07-01", "10:00"):
        scenes.buy(person, fund, "100.00")
    with scenes.on("2013-07-02", "10:00"):
        scenes.sweep()
        placed = scenes.sell(person, fund, "40.00")
    assert str(placed.last_income_day) == "2013-07-02"
    with scenes.on("2013-07-02", "23:59:59.999999"):
        scenes.sweep()
        assert scenes.shares_of(person, fund) == Decimal("100.00")
    with scenes.on("2013-07-03", "00:00"):
        scenes.sweep()
        assert (scenes.shares_of(person, fund), scenes.cash_of(person)) == (Decimal("60.00"), Decimal(0))
        assert scenes.system_balance(REDEMPTIONS, fund) == Decimal("40.00")
        assert scenes.system_balance(FUND_CASH, fund) == Decimal("-40.00")
    with scenes.on("2013-07-03", "10:00"):
        scenes.sweep()
    assert scenes.cash_of(person) == Decimal("40.00")
    assert scenes.system_balance(REDEMPTIONS, fund) == scenes.system_balance(FUND_CASH, fund) == 0
    assert scenes.order_of(placed).state == FundOrder.State.PAID
    scenes.nothing_is_wrong()


def test_redeeming_all_takes_what_there_is_when_it_leaves(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund("2013-07-02")
    person = scenes.a_saver(fund, "150.00")
    with scenes.on("2013-07-01", "10:00"):
        scenes.buy(person, fund, "100.00")
    with scenes.on("2013-07-02", "10:00"):
        scenes.sweep()
        scenes.buy(person, fund, "50.00")  # confirmed at the instant at which all leaves
        part = scenes.sell(person, fund, "30.00")
        whole = scenes.sell(person, fund, None)
        with pytest.raises(RedemptionOfAllOpen):
            scenes.sell(person, fund, None)
    scenes.sweep_each_day("2013-07-03", "2013-07-03")

    assert scenes.shares_of(person, fund) == 0
    assert [scenes.order_of(order).amount for order in (part, whole)] == [Decimal("30.00"), Decimal("120.00")]
    assert scenes.cash_of(person) == Decimal("150.00")
    scenes.nothing_is_wrong()


@pytest.mark.parametrize("state", list(Fund.State))
def test_a_state_allows_what_its_table_says(committed_db: TestDatabase, state: Fund.State) -> None:
    fund = scenes.a_fund("2013-07-02")
    person = scenes.a_saver(fund, "100.00")
    with scenes.on("2013-07-01", "10:00"):
        scenes.buy(person, fund, "50.00")
    with scenes.on("2013-07-02", "10:00"):
        scenes.sweep()
        if state != Fund.State.OPEN:
            assert catalogue.set_state(fund=fund, state=state)
        for operation, act in ((Operation.SUBSCRIBE, scenes.buy), (Operation.REDEEM, scenes.sell)):
            if operation in ALLOWED[state]:
                act(person, fund, "10.00")
            else:
                with pytest.raises(FundOperationRefused):
                    act(person, fund, "10.00")


def test_a_closing_fund_never_opens_again(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund()
    catalogue.set_state(fund=fund, state=Fund.State.CLOSING)
    with pytest.raises(ValueError, match="does not go"):
        catalogue.set_state(fund=fund, state=Fund.State.OPEN)


def test_a_cancellation_that_is_only_tried_changes_nothing_and_leaves_its_key_free(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund()
    person = scenes.a_saver(fund, "100.00")
    with scenes.on("2013-07-01", "10:00"):
        placed = scenes.buy(person, fund, "30.00")
        assert orders.cancel(person_id=person.id, order_id=placed.order_id, key="a", dry_run=True) == placed.order_id
        assert (scenes.cash_of(person), scenes.order_of(placed).state) == (Decimal("70.00"), FundOrder.State.PLACED)
        orders.cancel(person_id=person.id, order_id=placed.order_id, key="a")
        assert scenes.cash_of(person) == Decimal("100.00")


def test_an_order_whose_wallet_is_closed_rests_and_the_others_of_its_fund_are_paid(
    committed_db: TestDatabase, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(order_sets, "ORDERS_PER_SET", 2)
    fund = scenes.a_fund("2013-07-02")
    savers = [scenes.a_saver(fund, "100.00") for _ in range(5)]
    with scenes.on("2013-07-01", "10:00"):
        for saver in savers:
            scenes.buy(saver, fund, "100.00")
    with scenes.on("2013-07-02", "10:00"):
        scenes.sweep()
        placed = [scenes.sell(saver, fund, "40.00") for saver in savers]
    with scenes.on("2013-07-03", "09:00"):
        scenes.sweep()
    closed = Account.objects.filter(owner__in=savers[:3], kind=WALLET.code)  # a whole set, and one, at the front
    closed.update(closed=True)

    with scenes.on("2013-07-03", "10:00"):
        scenes.sweep()
        assert [scenes.order_of(order).state for order in placed] == ["left"] * 3 + ["paid"] * 2
        assert [scenes.cash_of(saver) for saver in savers] == [Decimal(0)] * 3 + [Decimal("40.00")] * 2
        assert scenes.system_balance(REDEMPTIONS, fund) == Decimal("120.00")
        said = [vars(record) for record in caplog.records if record.name == order_sets.log.name]
        assert [(line["fund"], line["codes"]) for line in said] == [(fund.code, ["ACCOUNT_CLOSED"])] * 2
        assert {order for line in said for order in line["first"]} == {str(order.order_id) for order in placed[:3]}
        assert sum(line["count"] for line in said) == 3
    closed.update(closed=False)
    with scenes.on("2013-07-03", "10:09:59"):
        assert order_sets.pay_out_due() == 0
    with scenes.on("2013-07-03", "10:10"):
        scenes.sweep()
    assert [scenes.cash_of(saver) for saver in savers] == [Decimal("40.00")] * 5
    assert [scenes.order_of(order).rests_until for order in placed] == [None] * 5
    assert scenes.system_balance(REDEMPTIONS, fund) == 0
    scenes.nothing_is_wrong()
