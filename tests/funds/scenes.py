"""What the funds' tests need: a fund, people with cash, days that pass, balances."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection, transaction

from funds import catalogue, income, order_sets, orders, yields
from funds.flows import FUND_INCOME
from funds.models import Fund, FundDay, FundOrder
from superapp import clock
from superapp.ids import uuid7
from superapp.models import Run, User
from tests import factories
from tests.waiting import wait_until
from wallet.accounts import account_of, currency_asset, system_account
from wallet.balances import balance_of
from wallet.flows import FUND, FUND_ISSUED, WALLET, AccountKind
from wallet.ledger_sets import post_set
from wallet.models import Account
from wallet.verification import verify

SHANGHAI = ZoneInfo("Asia/Shanghai")
CNY = Decimal("0.01")


def at(day: str, clock_time: str = "00:00") -> datetime:
    """An instant in Shanghai."""
    return datetime.combine(date.fromisoformat(day), time.fromisoformat(clock_time), tzinfo=SHANGHAI)


@contextmanager
def on(day: str, clock_time: str = "12:00") -> Iterator[None]:
    """The clock stands still at that instant."""
    clock.forget()
    with clock.stopped_at(at(day, clock_time)):
        yield
    clock.forget()


def a_fund(
    first_day: str = "2013-07-01",
    *,
    code: str = "YEB",
    leftover: Fund.Leftover = Fund.Leftover.HAND_OUT,
    derived: bool = False,
    founded: str = "2013-06-01",
    **fields: Any,
) -> Fund:
    """A fund founded on a day before its first."""
    with on(founded, "06:00"):
        return catalogue.found_fund(
            code=code,
            name="Leftover Money",
            currency="CNY",
            first_day=date.fromisoformat(first_day),
            terms="The terms.",
            leftover=leftover,
            yield_basis=Fund.YieldBasis.DERIVED if derived else Fund.YieldBasis.PUBLISHED,
            **fields,
        )


def a_saver(fund: Fund, cash: str, *, since: str = "2013-06-01", name: str = "Li Lei") -> User:
    """A person who has accepted the fund's terms and has cash in the wallet."""
    with on(since, "08:00"):
        person = factories.a_payer(cash, pin=None, display_name=name)
        catalogue.accept_terms(person_id=person.id, fund_code=fund.code, version=1)
    return person


def who_left(fund: Fund, *, cash: str = "10000.00") -> User:
    """A holder of 10,000.00 on 3 July 2013, the fund's first day, who redeemed all and was paid 3.00 for it afterwards."""
    day, saver = "2013-07-03", a_saver(fund, cash)
    with on("2013-07-02", "10:00"):
        buy(saver, fund, "10000.00")
    sweep_each_day(day, day)
    with on(day, "14:00"):
        sell(saver, fund, None)
        publish(fund, {day: "3"})
    sweep_each_day("2013-07-04", "2013-07-05")
    return saver


def many_holders(fund: Fund, amounts: Sequence[Decimal], *, since: str) -> dict[UUID, Decimal]:
    """Holders by account who have had these shares since 00:00 of that day; given in one set, without orders."""
    with on(since, "00:00"), transaction.atomic():
        people = User.objects.bulk_create(User(phone=factories.a_phone(), display_name="holder") for _ in amounts)
        asset, now = catalogue.share_asset(fund), clock.now()
        accounts = Account.objects.bulk_create(
            Account(owner=person, kind=FUND.code, asset=asset, created_at=now) for person in people
        )
        held = {account.id: amount for account, amount in zip(accounts, amounts, strict=True)}
        given = {account: amount for account, amount in held.items() if amount}
        if given:
            issued = system_account(FUND_ISSUED, asset, scope=fund.code)
            post_set(
                kind=FUND_INCOME,
                legs="SELECT NULL::uuid AS item, l.position, l.account_id, l.amount, %(gift)s::uuid AS subject "
                "FROM unnest(%(accounts)s::uuid[], %(amounts)s::numeric[]) "
                "WITH ORDINALITY AS l (account_id, amount, position)",
                params={
                    "accounts": [*given, issued],
                    "amounts": [*given.values(), -sum(given.values(), Decimal(0))],
                    "gift": issued,
                },
                one_entry=uuid7(),
                subject=issued,
            )
    return held


def buy(person: User, fund: Fund, amount: str, **options: Any) -> orders.PlacedOrder:
    """Subscribes under a fresh key."""
    return orders.subscribe(
        person_id=person.id,
        fund_code=fund.code,
        amount=Decimal(amount),
        currency="CNY",
        key=str(uuid7()),
        **options,
    )


def sell(person: User, fund: Fund, amount: str | None, **options: Any) -> orders.PlacedOrder:
    """Redeems under a fresh key; None: all."""
    return orders.redeem(
        person_id=person.id,
        fund_code=fund.code,
        amount=None if amount is None else Decimal(amount),
        currency=None if amount is None else "CNY",
        key=str(uuid7()),
        **options,
    )


def publish(fund: Fund, figures: Mapping[str, str], *, revise: bool = False) -> None:
    """Figures by day, published now."""
    for day, figure in figures.items():
        name = "net_income" if fund.yield_basis == Fund.YieldBasis.DERIVED else "per_10k"
        yields.publish(fund=fund, day=date.fromisoformat(day), revise=revise, **{name: Decimal(figure)})


def sweep() -> None:
    """Everything that happens by itself, until nothing is due."""
    while order_sets.confirm_due() or order_sets.leave_due() or order_sets.settle_with_manager():
        pass
    while order_sets.pay_out_due():
        pass
    pay_income()


def pay_income() -> None:
    """Works off every income run that can go on; a day waits for transactions of others in its database."""

    def nothing_is_freezing() -> bool:
        while sum(income.work(run, seconds=60) for run in income.open_due_runs()):
            pass
        return not FundDay.objects.filter(horizon__isnull=False, frozen_at__isnull=True).exists()

    wait_until(nothing_is_freezing, what="the freezing of a day")


def sweep_each_day(first: str, last: str, clock_time: str = "10:30") -> None:
    """Sweeps at that time of each day from `first` to `last`."""
    for number in range(date.fromisoformat(first).toordinal(), date.fromisoformat(last).toordinal() + 1):
        with on(date.fromordinal(number).isoformat(), clock_time):
            sweep()


def shares_account(person: User, fund: Fund) -> Account:
    """The person's account of the fund's shares."""
    found = account_of(owner_id=person.id, kind=FUND, asset=catalogue.share_asset(fund))
    assert found is not None
    return found


def shares_of(person: User, fund: Fund) -> Decimal:
    """The person's shares of the fund."""
    found = account_of(owner_id=person.id, kind=FUND, asset=catalogue.share_asset(fund))
    return (found.balance if found else Decimal(0)).quantize(CNY)


def cash_of(person: User) -> Decimal:
    """What is in the person's wallet."""
    found = account_of(owner_id=person.id, kind=WALLET, asset=currency_asset("CNY"))
    assert found is not None
    return found.balance.quantize(CNY)


def system_balance(kind: AccountKind, fund: Fund, *, shares: bool = False) -> Decimal:
    """The balance of one of the fund's system accounts."""
    asset = catalogue.share_asset(fund) if shares else catalogue.cash_asset(fund)
    return balance_of(system_account(kind, asset, scope=fund.code)).quantize(CNY)


def incomes(person: User, fund: Fund) -> list[str]:
    """What income runs have posted to the person, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.amount FROM wallet_posting p JOIN superapp_run r ON r.id = p.subject "
            "WHERE p.account_id = %s ORDER BY p.sequence",
            [shares_account(person, fund).id],
        )
        return [str(row[0].quantize(CNY)) for row in cursor.fetchall()]


def run_of(fund: Fund, day: str, revision: int = 0) -> Run:
    """The income run of a day."""
    return Run.objects.get(kind=income.KIND, scope=fund.code, day=date.fromisoformat(day), revision=revision)


def order_of(placed: orders.PlacedOrder) -> FundOrder:
    """The order as it is stored."""
    return FundOrder.objects.get(pk=placed.order_id)


def nothing_is_wrong() -> None:
    """Every invariant that `verify_ledger` knows holds."""
    findings = [finding for found in verify().values() for finding in found]
    assert not findings, "\n".join(f"{found.invariant} {found.row}: {found.fault}" for found in findings[:20])


def canonical_dump() -> list[tuple[Any, ...]]:
    """Every posting by what it means: who, in which order, what kind, how much, counting from when, for what."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT coalesce(u.display_name, a.kind), CASE WHEN a.folded THEN 0 ELSE p.sequence END, e.kind, p.amount,
                   p.balance_after, p.effective_at, coalesce(r.day::text || '/' || r.revision, '')
            FROM wallet_posting p JOIN wallet_journalentry e ON e.id = p.entry_id JOIN wallet_account a ON a.id = p.account_id
            LEFT JOIN superapp_user u ON u.id = a.owner_id LEFT JOIN superapp_run r ON r.id = p.subject
            ORDER BY 1, 2, 3, 4, 6, 7
            """
        )
        return list(cursor.fetchall())


def is_paid(fund: Fund, day: str) -> bool:
    """Whether the day's income has been paid."""
    return FundDay.objects.filter(fund=fund, day=date.fromisoformat(day), closed_by__isnull=False).exists()
