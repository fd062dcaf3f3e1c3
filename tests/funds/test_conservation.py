"""F11: paid + carried + left = distributable + brought forward, to the cent, every day; each holder as the model says."""

import random
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import count, cycle
from uuid import UUID

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from funds import income_batches
from funds.income_figures import figures_of
from funds.leftover import BUCKETS
from funds.models import Fund
from superapp import policies
from superapp.models import Run
from tests.databases import TestDatabase
from tests.funds import model, scenes
from wallet.flows import FUND_UNDISTRIBUTED
from wallet.models import Account, Posting

_numbers: Iterator[int] = count(1)

amounts = st.lists(
    st.one_of(
        st.decimals(min_value=0, max_value=100_000, places=2),
        st.sampled_from([Decimal("3333.33"), Decimal("100.00"), Decimal("0.01")]),
    ),
    min_size=1,
    max_size=30,
)
figures = st.lists(st.decimals(min_value=-3, max_value=3, places=4), min_size=1, max_size=3)
guesses = st.one_of(
    st.none(), st.tuples(st.integers(0, BUCKETS - 1), st.integers(0, BUCKETS - 1)).map(lambda two: (min(two), max(two)))
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(held=amounts, ys=figures, policy=st.sampled_from(list(Fund.Leftover)), batch=st.integers(1, 9))
@example(held=[Decimal("0.01")] * 30, ys=[Decimal(3)], policy=Fund.Leftover.HAND_OUT, batch=4)
@example(held=[Decimal("100.00")] * 29, ys=[Decimal("-1.5"), Decimal("1.55")], policy=Fund.Leftover.HAND_OUT, batch=7)
def test_every_day_is_conserved_and_everyone_gets_what_the_rules_say(
    committed_db: TestDatabase, held: list[Decimal], ys: list[Decimal], policy: Fund.Leftover, batch: int
) -> None:
    fund = _a_fund(policy, batch)
    entitled = scenes.many_holders(fund, held, since="2013-07-01")
    _live_through(fund, entitled, ys)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(held=amounts, ys=figures, batch=st.integers(1, 9), guesses=st.lists(guesses, min_size=1, max_size=8))
@example(held=[Decimal("3333.33")] * 9, ys=[Decimal("1.46")] * 2, batch=2, guesses=[(0, 0), (400, 500), (999, 999)])
def test_wherever_the_last_step_is_expected_everyone_gets_what_the_rules_say(
    committed_db: TestDatabase,
    held: list[Decimal],
    ys: list[Decimal],
    batch: int,
    guesses: list[tuple[int, int] | None],
) -> None:
    """A guess may be wrong, and another one for each batch: it decides what is read again, never who is paid."""
    fund = _a_fund(Fund.Leftover.HAND_OUT, batch)
    entitled = scenes.many_holders(fund, held, since="2013-07-01")
    following = cycle(guesses)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(income_batches, "_expected", lambda *_: next(following))
        _live_through(fund, entitled, ys)


@pytest.mark.parametrize("policy", list(Fund.Leftover))
def test_thousands_of_holders_are_paid_to_the_cent(committed_db: TestDatabase, policy: Fund.Leftover) -> None:
    dice = random.Random(20130701)
    held = [Decimal(dice.choice([dice.randint(1, 10**7), 333333, 10000, 1])) / 100 for _ in range(3000)]
    fund = _a_fund(policy, 700)
    entitled = scenes.many_holders(fund, held, since="2013-07-01")

    _live_through(fund, entitled, [Decimal("1.4670"), Decimal("-0.3000"), Decimal("1.3845")])
    scenes.nothing_is_wrong()


def _a_fund(policy: Fund.Leftover, batch: int) -> Fund:
    code = f"FUND-{next(_numbers)}"
    with scenes.on("2013-06-01"):
        policies.change(policy="funds.income_batch_accounts", value=batch, scope=code)
    return scenes.a_fund("2013-07-01", code=code, leftover=policy, derived=policy == Fund.Leftover.CARRY)


def _live_through(fund: Fund, held: dict[UUID, Decimal], ys: list[Decimal]) -> None:
    """Pays each day and compares it with the model, which is carried along."""
    shares = {account: Fraction(amount) for account, amount in held.items()}
    remainder = brought_forward = Fraction(0)
    for number, y in enumerate(ys):
        day = date(2013, 7, 1) + timedelta(days=number)
        if fund.leftover == Fund.Leftover.CARRY:
            net_income = round(sum(held.values(), Decimal(0)) * y / 10_000, 2)
            expected = model.derived_day(
                entitled=shares, net_income=Fraction(net_income), brought_forward=brought_forward
            )
        else:
            net_income = y
            expected = model.day(entitled=shares, y=Fraction(y), remainder=remainder, policy=fund.leftover)
        with scenes.on((day + timedelta(days=1)).isoformat(), "09:00"):
            scenes.publish(fund, {day.isoformat(): str(net_income)})
            scenes.pay_income()
        run = scenes.run_of(fund, day.isoformat())
        _agrees(fund, run, expected, shares)
        shares = {account: amount + expected.incomes.get(account, Fraction(0)) for account, amount in shares.items()}
        remainder, brought_forward = expected.remainder, expected.carried


def _agrees(fund: Fund, run: Run, expected: model.Day, shares: dict[UUID, Fraction]) -> None:
    assert run.state == Run.State.CLOSED, run.fault
    paid = {
        posting.account_id: Fraction(posting.amount)
        for posting in Posting.objects.filter(subject=run.pk, account__kind="fund")
    }
    assert paid == expected.incomes
    found = figures_of(run)
    assert found.conserved()
    assert found.holders == sum(1 for amount in shares.values() if amount)
    for figure, rule in (
        (found.paid, sum(expected.incomes.values(), Fraction(0))),
        (found.distributable, expected.distributable),
        (found.carried, expected.carried),
        (found.left, expected.left),
        (found.remainder, expected.remainder),
    ):
        assert figure is not None
        assert Fraction(figure) == rule
    balances = Account.objects.filter(asset__code=f"FUND:{fund.code}", kind="fund")
    assert sum((Fraction(account.balance) for account in balances), Fraction(0)) == sum(shares.values()) + sum(
        paid.values()
    )
    undistributed = scenes.system_balance(FUND_UNDISTRIBUTED, fund, shares=True)
    assert Fraction(undistributed) == expected.carried
