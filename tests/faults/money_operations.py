"""Every operation that moves money, each in a small world of its own: what is done, and what it must come to, once.

`test_each_step.py` breaks each of them at each of its statements. That none is missing is asked of the code: every kind of
entry that moves something, and every operation under an idempotency key, must be one that a case here has carried out, or be
named in `BROKEN_ELSEWHERE` with the test that breaks it.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from itertools import count
from uuid import UUID, uuid4

from django.db import OperationalError, connection, transaction

from funds import entitlement, income, order_sets, orders
from funds.models import Fund, FundOrder
from payments import settlement, transfers
from payments.payees import Payee
from superapp import clock, outbox
from superapp.errors import Unavailable
from superapp.ids import uuid7
from superapp.models import OutboxEvent, User
from tests.factories import PIN, a_payer, a_person, a_top_up, a_transfer
from tests.funds import scenes
from tests.picture import MONEY_TABLES
from tests.waiting import wait_until
from wallet import bank_callbacks, folding, holds, ledger, reversals, sealing, top_ups
from wallet.accounts import currency_asset, system_account
from wallet.assurance import Seal
from wallet.balances import balance_of
from wallet.errors import ReversalDecided
from wallet.flows import BANK, TOP_UP
from wallet.holds import PlaceHold
from wallet.ledger import Plan
from wallet.models import Account, Hold, JournalEntry, TopUp

TABLES = (
    *MONEY_TABLES,
    "funds_fundorder",
    "funds_managersettlement",
    "funds_fundday",
    "wallet_seal",
    "superapp_run",
    "superapp_runbatch",
)
"""What a broken operation must leave as it was."""

BROKEN_ELSEWHERE = {
    "shortfall_collected": "tests/funds/test_shortfalls.py",
}

Check = Callable[[], None]

_numbers = count(1)


@dataclass(frozen=True)
class Case:
    """One operation: the act, which may be done again, and what must be true once it is done, however often it was tried."""

    act: Callable[[], object]
    done_once: Check
    error: type[Exception] = OperationalError
    one_commit: bool = True
    """Its whole effect is one commit. Else its first commit is all or nothing, and it is broken around each of the others."""
    people: list[User] = field(default_factory=list)
    noted_in: tuple[str, ...] = ()
    """Where a failed try is written down; such an operation need not raise."""
    before_again: Callable[[], object] = lambda: None
    """What must happen before it is tried again."""


def _balances(*expected: tuple[User, str]) -> Check:
    def check() -> None:
        owned = [Account.objects.filter(owner=person, kind="wallet").first() for person, _ in expected]
        assert [account and account.balance for account in owned] == [Decimal(amount) for _, amount in expected]

    return check


def _sending() -> Case:
    ann, ben, key = a_payer("100.00"), a_person(), str(uuid4())
    return Case(
        act=lambda: transfers.send_money(
            sender_id=ann.pk, to=Payee(id=ben.pk), amount=Decimal("40.00"), currency="CNY", note="", pin=PIN, key=key
        ),
        done_once=_balances((ann, "60.00"), (ben, "0.00")),
        error=Unavailable,
    )


def _topping_up() -> Case:
    ann, key = a_payer("0"), str(uuid4())

    def asked_once() -> None:
        _balances((ann, "0.00"))()
        assert TopUp.objects.filter(owner=ann).count() == 1

    return Case(
        act=lambda: top_ups.top_up(owner_id=ann.pk, amount=Decimal("40.00"), currency="CNY", key=key),
        done_once=asked_once,
        error=Unavailable,
    )


def _asked_for(person: User) -> UUID:
    return top_ups.top_up(owner_id=person.pk, amount=Decimal("40.00"), currency="CNY", key=str(uuid4())).top_up_id


def _instructing() -> Case:
    OutboxEvent.objects.filter(delivered_at=None).update(delivered_at="2013-01-01T00:00Z")  # of other cases
    asked = _asked_for(a_payer("0"))
    put_off = OutboxEvent.objects.filter(delivered_at=None, attempts__gt=0)

    def instructed_once() -> None:
        assert TopUp.objects.get(pk=asked).state == TopUp.State.INSTRUCTED
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM wallet_sandboxbankorder WHERE reference = %s", [str(asked)])
            assert cursor.fetchone() == (1,)

    return Case(
        act=lambda: outbox.deliver_due(limit=1),
        done_once=instructed_once,
        noted_in=("superapp_outboxevent",),
        before_again=lambda: put_off.update(available_at="2013-01-01T00:00Z"),
    )


def _hearing_the_bank() -> Case:
    ann = a_payer("0")
    asked = _asked_for(ann)
    return Case(
        act=lambda: bank_callbacks.record_callback(
            rail="sandbox",
            reference=f"B-{asked}",
            instruction=str(asked),
            status="confirmed",
            amount=Decimal("40.00"),
            currency="CNY",
        ),
        done_once=_balances((ann, "40.00")),
    )


def _settling() -> Case:
    ann, ben = a_payer("100.00"), a_payer("0")
    for _ in range(3):
        a_transfer(ann, ben)
    return Case(act=settlement.settle_due, done_once=_balances((ann, "70.00"), (ben, "30.00")))


def _refusing() -> Case:
    ann, ben = a_payer("100.00"), a_payer("0")
    a_transfer(ann, ben)
    Account.objects.filter(owner=ben).update(closed=True)
    return Case(act=settlement.settle_due, done_once=_balances((ann, "90.00"), (ben, "0.00")), people=[ann, ben])


def _sending_back() -> Case:
    refused = _refusing()
    settlement.settle_due()
    ann, ben = refused.people
    return Case(act=settlement.return_refused, done_once=_balances((ann, "100.00"), (ben, "0.00")))


def _reversing() -> Case:
    ann = a_payer("40.00")
    asks, decides = a_person(), a_person()
    entry = JournalEntry.objects.get(postings__account__owner=ann)
    asked = reversals.request(entry_id=entry.pk, reason="a test", by=asks).pk

    def approve() -> None:
        with suppress(ReversalDecided):
            reversals.approve(request_id=asked, by=decides)

    return Case(act=approve, done_once=_balances((ann, "0.00")))


def _folding() -> Case:
    ann = a_payer("0")
    bank = system_account(BANK, currency_asset("CNY"))
    a_top_up(ann, "10.00")
    before = balance_of(bank)

    def unchanged() -> None:
        assert balance_of(bank) == before

    return Case(act=folding.fold, done_once=unchanged)


def _lapsing() -> Case:
    ann = a_payer("100.00")
    account = Account.objects.get(owner=ann, kind="wallet").pk
    placed_at = clock.now()
    term = placed_at + timedelta(microseconds=1)
    place = PlaceHold(account=account, hold_id=uuid7(), amount=Decimal(60), subject=uuid7(), lapses_at=term)
    with clock.stopped_at(placed_at), transaction.atomic():
        ledger.post(Plan(kind=TOP_UP, subject=uuid7(), legs=(), holds=[place]))

    def lapsed_once() -> None:
        hold = Hold.objects.get(account=account)
        assert (hold.state, hold.lapsed, Account.objects.get(pk=account).held) == ("lapsed", Decimal(60), Decimal(0))

    return Case(act=holds.lapse_due, done_once=lapsed_once)


def _sealing() -> Case:
    ann = a_payer("40.00")
    tx = JournalEntry.objects.get(postings__account__owner=ann).tx

    def every_older_transaction_has_ended() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint > %s", [tx])
            return bool(cursor.fetchone()[0])

    wait_until(every_older_transaction_has_ended, what="the end of every older transaction")

    def sealed_once() -> None:
        assert Seal.objects.filter(from_tx__lte=tx, to_tx__gt=tx).count() == 1

    return Case(act=sealing.seal, done_once=sealed_once, one_commit=False)


# Funds. One fund for all orders, so that a step is the same statement in every world; incomes have a fund each.


def _fund() -> Fund:
    return Fund.objects.filter(code="STEPS").first() or scenes.a_fund("2013-07-02", code="STEPS")


def _on(day: str, clock_time: str, act: Callable[[], object]) -> Callable[[], object]:
    def then() -> object:
        with scenes.on(day, clock_time):
            return act()

    return then


def _orders_of(person: User, *expected: str) -> Check:
    def check() -> None:
        assert list(FundOrder.objects.filter(owner=person).order_by("id").values_list("state", flat=True)) == [
            *expected
        ]

    return check


def _all(*checks: Check) -> Check:
    def check() -> None:
        for each in checks:
            each()

    return check


def _shares(person: User, balance: str, held: str) -> Check:
    def check() -> None:
        account = scenes.shares_account(person, _fund())
        assert (account.balance, account.held) == (Decimal(balance), Decimal(held))

    return check


def _who_has_ordered() -> tuple[User, orders.PlacedOrder]:
    saver = scenes.a_saver(_fund(), "500.00")
    with scenes.on("2013-07-01", "10:00"):
        return saver, scenes.buy(saver, _fund(), "100.00")


def _who_holds() -> User:
    saver, _ = _who_has_ordered()
    with scenes.on("2013-07-02", "10:00"):
        order_sets.confirm_due()
    return saver


def _who_has_redeemed() -> tuple[User, orders.PlacedOrder]:
    saver = _who_holds()
    with scenes.on("2013-07-02", "11:00"):
        order_sets.settle_with_manager()
        return saver, scenes.sell(saver, _fund(), "30.00")


def _subscribing() -> Case:
    saver, key = scenes.a_saver(_fund(), "500.00"), str(uuid4())

    def act() -> object:
        return orders.subscribe(person_id=saver.pk, fund_code="STEPS", amount=Decimal(100), currency="CNY", key=key)

    done = _all(_balances((saver, "400.00")), _orders_of(saver, "placed"))
    return Case(act=_on("2013-07-01", "10:00", act), done_once=done, error=Unavailable)


def _redeeming() -> Case:
    saver, key = _who_holds(), str(uuid4())

    def act() -> object:
        return orders.redeem(person_id=saver.pk, fund_code="STEPS", amount=Decimal(30), currency="CNY", key=key)

    done = _all(_shares(saver, "100.00", "30.00"), _orders_of(saver, "confirmed", "placed"))
    return Case(act=_on("2013-07-02", "11:00", act), done_once=done, error=Unavailable)


def _cancelling(saver: User, order: orders.PlacedOrder, day: str, done: Check) -> Case:
    key = str(uuid4())

    def act() -> object:
        return orders.cancel(person_id=saver.pk, order_id=order.order_id, key=key)

    return Case(act=_on(day, "11:30", act), done_once=done, error=Unavailable)


def _cancelling_a_subscription() -> Case:
    saver, order = _who_has_ordered()
    done = _all(_balances((saver, "500.00")), _orders_of(saver, "cancelled"))
    return _cancelling(saver, order, "2013-07-01", done)


def _cancelling_a_redemption() -> Case:
    saver, order = _who_has_redeemed()

    def released_once() -> None:
        hold = Hold.objects.get(subject=order.order_id)
        assert (hold.state, hold.released) == ("released", Decimal(30))

    done = _all(_shares(saver, "100.00", "0.00"), _orders_of(saver, "confirmed", "cancelled"), released_once)
    return _cancelling(saver, order, "2013-07-02", done)


def _confirming() -> Case:
    saver, _ = _who_has_ordered()
    done = _all(_shares(saver, "100.00", "0.00"), _orders_of(saver, "confirmed"))
    return Case(act=_on("2013-07-02", "10:00", order_sets.confirm_due), done_once=done)


def _leaving() -> Case:
    saver, _ = _who_has_redeemed()
    done = _all(_shares(saver, "70.00", "0.00"), _orders_of(saver, "confirmed", "left"))
    return Case(act=_on("2013-07-03", "00:00", order_sets.leave_due), done_once=done)


def _who_has_left() -> User:
    saver, _ = _who_has_redeemed()
    with scenes.on("2013-07-03", "00:00"):
        order_sets.leave_due()
    return saver


def _settling_with_the_manager() -> Case:
    saver = _who_has_left()

    def settled_once() -> None:
        orders_of_saver = FundOrder.objects.filter(owner=saver)
        assert [order.settlement and order.settlement.amount for order in orders_of_saver.order_by("id")] == [100, -30]

    return Case(
        act=_on("2013-07-03", "11:00", order_sets.settle_with_manager), done_once=settled_once, one_commit=False
    )


def _paying_out() -> Case:
    saver = _who_has_left()
    with scenes.on("2013-07-03", "11:00"):
        order_sets.settle_with_manager()
    done = _all(_balances((saver, "430.00")), _orders_of(saver, "confirmed", "paid"))
    return Case(act=_on("2013-07-03", "11:30", order_sets.pay_out_due), done_once=done)


def _a_day_of_income(figure: str, *, shares: str = "10000.00", **options: object) -> tuple[Fund, User]:
    """A fund of one holder, whose first day has a figure and is frozen."""
    fund = scenes.a_fund("2013-07-02", code=f"INCOME{next(_numbers)}", **options)  # type: ignore[arg-type]
    saver = scenes.a_saver(fund, "10000.00")
    with scenes.on("2013-07-01", "10:00"):
        scenes.buy(saver, fund, shares)
    with scenes.on("2013-07-03", "00:00"):
        order_sets.confirm_due()
        scenes.publish(fund, {"2013-07-02": figure})
        income.open_due_runs()
        wait_until(lambda: entitlement.freeze(fund, date(2013, 7, 2)), what="a frozen day")
    return fund, saver


def _paid(fund: Fund, saver: User, *incomes: str) -> Check:
    def check() -> None:
        assert scenes.is_paid(fund, "2013-07-02")
        assert scenes.incomes(saver, fund) == [*incomes]

    return check


def _working(fund: Fund, revision: int = 0) -> Callable[[], object]:
    run = scenes.run_of(fund, "2013-07-02", revision)
    return _on("2013-07-03", "10:00", lambda: income.work(run.pk, seconds=60))


def _paying_income() -> Case:
    fund, saver = _a_day_of_income("1.46")
    return Case(act=_working(fund), done_once=_paid(fund, saver, "1.46"), one_commit=False)


def _carrying_income() -> Case:
    fund, saver = _a_day_of_income("1.46", shares="7000.00", derived=True, leftover=Fund.Leftover.CARRY)
    return Case(act=_working(fund), done_once=_paid(fund, saver, "1.45"), one_commit=False)


def _correcting_income() -> Case:
    fund, saver = _a_day_of_income("1.46")
    _working(fund)()
    with scenes.on("2013-07-03", "10:00"):
        scenes.publish(fund, {"2013-07-02": "1.26"}, revise=True)
        income.open_due_runs()
    return Case(act=_working(fund, 1), done_once=_paid(fund, saver, "1.46", "-0.20"), one_commit=False)


OPERATIONS: dict[str, Callable[[], Case]] = {
    "sending money": _sending,
    "topping up": _topping_up,
    "instructing the bank": _instructing,
    "hearing the bank": _hearing_the_bank,
    "settling": _settling,
    "settling what is refused": _refusing,
    "sending back": _sending_back,
    "reversing": _reversing,
    "folding": _folding,
    "lapsing holds": _lapsing,
    "sealing": _sealing,
    "subscribing": _subscribing,
    "redeeming": _redeeming,
    "cancelling a subscription": _cancelling_a_subscription,
    "cancelling a redemption": _cancelling_a_redemption,
    "confirming": _confirming,
    "leaving": _leaving,
    "settling with the manager": _settling_with_the_manager,
    "paying out": _paying_out,
    "paying income": _paying_income,
    "carrying income": _carrying_income,
    "correcting income": _correcting_income,
}
