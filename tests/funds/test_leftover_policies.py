"""F10, F11, F16: what the cuts leave over, negative days; not a cent is lost, for three holders or thousands."""

from decimal import Decimal

import pytest

from funds.income_figures import figures_of
from funds.models import Fund, IncomeShortfall
from superapp.models import User
from tests.databases import TestDatabase
from tests.funds import scenes
from wallet.flows import FUND_UNDISTRIBUTED, OWED
from wallet.models import Account, Hold


def _three_holders(fund: Fund) -> list[User]:
    """Who hold 3333.33, 3333.33 and 3333.34 from 2013-07-03 on."""
    savers = []
    for number, amount in enumerate(["3333.33", "3333.33", "3333.34"]):
        saver = scenes.a_saver(fund, "4000.00", name=f"saver {number}")
        with scenes.on("2013-07-02", "10:00"):
            scenes.buy(saver, fund, amount)
        savers.append(saver)
    with scenes.on("2013-07-03", "00:01"):
        scenes.sweep()
    return savers


def _paid_one_day(fund: Fund, figure: str) -> list[str]:
    savers = _three_holders(fund)
    with scenes.on("2013-07-04", "09:00"):
        scenes.publish(fund, {"2013-07-03": figure})
        scenes.sweep()
    scenes.nothing_is_wrong()
    return [income for saver in savers for income in scenes.incomes(saver, fund)]


def test_hand_out_gives_the_two_cents_to_the_largest_cut_fractions(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund("2013-07-03", leftover=Fund.Leftover.HAND_OUT)

    assert _paid_one_day(fund, "1.46") == ["0.49", "0.48", "0.49"]

    figures = figures_of(scenes.run_of(fund, "2013-07-03"))
    assert (figures.paid, figures.carried, figures.left, figures.distributable) == (
        Decimal("1.46"),
        Decimal(0),
        Decimal(0),
        Decimal("1.46"),
    )


def test_carry_keeps_the_two_cents_for_tomorrow(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund("2013-07-03", leftover=Fund.Leftover.CARRY, derived=True)

    assert _paid_one_day(fund, "1.46") == ["0.48", "0.48", "0.48"]

    assert scenes.system_balance(FUND_UNDISTRIBUTED, fund, shares=True) == Decimal("0.02")
    with scenes.on("2013-07-05", "09:00"):
        scenes.publish(fund, {"2013-07-04": "1.46"})
        scenes.sweep()
    figures = figures_of(scenes.run_of(fund, "2013-07-04"))
    assert figures.brought_forward == Decimal("0.02")
    assert figures.per_10k == Decimal("1.4797")  # (1.46 + 0.02) x 10,000 / 10,001.44, cut
    assert figures.carried is not None
    assert figures.paid is not None
    assert figures.paid + figures.carried == Decimal("1.48")
    assert scenes.system_balance(FUND_UNDISTRIBUTED, fund, shares=True) == figures.carried
    scenes.nothing_is_wrong()


def test_leave_in_fund_leaves_the_two_cents_to_the_manager(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund("2013-07-03", leftover=Fund.Leftover.LEAVE_IN_FUND)

    assert _paid_one_day(fund, "1.46") == ["0.48", "0.48", "0.48"]

    assert figures_of(scenes.run_of(fund, "2013-07-03")).left == Decimal("0.02")


def test_carry_cannot_be_founded_on_published_figures(committed_db: TestDatabase) -> None:
    from django.db import IntegrityError

    with pytest.raises(IntegrityError, match="carry_needs_a_derived_yield"):
        scenes.a_fund(leftover=Fund.Leftover.CARRY, derived=False)


def test_a_negative_day_takes_shares(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund("2013-07-03")
    saver = scenes.a_saver(fund, "10000.00")
    with scenes.on("2013-07-02", "10:00"):
        scenes.buy(saver, fund, "10000.00")
    scenes.sweep_each_day("2013-07-03", "2013-07-03")
    with scenes.on("2013-07-04", "09:00"):
        scenes.publish(fund, {"2013-07-03": "-0.5"})
        scenes.sweep()

    assert scenes.incomes(saver, fund) == ["-0.50"]
    assert scenes.shares_of(saver, fund) == Decimal("9999.50")
    scenes.nothing_is_wrong()


def test_a_negative_day_hands_out_negative_cents(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund("2013-07-03", leftover=Fund.Leftover.HAND_OUT)

    assert _paid_one_day(fund, "-1.46") == ["-0.49", "-0.48", "-0.49"]


def test_a_loss_shrinks_what_open_redemptions_hold(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund("2013-07-03")
    part, whole = (scenes.a_saver(fund, "10000.00", name=name) for name in ("part", "whole"))
    with scenes.on("2013-07-02", "10:00"):
        scenes.buy(part, fund, "10000.00")
        scenes.buy(whole, fund, "10000.00")
    with scenes.on("2013-07-03", "10:00"):
        scenes.sweep()
        of_part = scenes.sell(part, fund, "9999.80")
        of_all = scenes.sell(whole, fund, None)
    with scenes.on("2013-07-03", "16:00"):
        scenes.publish(fund, {"2013-07-03": "-0.5"})
    with scenes.on("2013-07-04", "00:00"):
        scenes.pay_income()

    assert scenes.shares_of(part, fund) == scenes.shares_of(whole, fund) == Decimal("9999.50")
    assert scenes.order_of(of_part).amount == Decimal("9999.50")
    assert scenes.order_of(of_all).amount is None
    assert {hold.remaining for hold in Hold.objects.all()} == {Decimal("9999.50")}
    scenes.nothing_is_wrong()

    with scenes.on("2013-07-04", "10:30"):
        scenes.sweep()
    assert scenes.cash_of(part) == scenes.cash_of(whole) == Decimal("9999.50")
    scenes.nothing_is_wrong()


def test_what_a_holder_no_longer_has_is_owed(committed_db: TestDatabase) -> None:
    fund = scenes.a_fund("2013-07-03")
    saver = scenes.a_saver(fund, "10000.00")
    with scenes.on("2013-07-02", "10:00"):
        scenes.buy(saver, fund, "10000.00")
    scenes.sweep_each_day("2013-07-03", "2013-07-03")
    with scenes.on("2013-07-03", "14:00"):
        scenes.sell(saver, fund, None)
    scenes.sweep_each_day("2013-07-04", "2013-07-04")
    assert scenes.shares_of(saver, fund) == 0

    with scenes.on("2013-07-05", "09:00"):
        scenes.publish(fund, {"2013-07-03": "-0.5"})
        scenes.sweep()

    assert scenes.shares_of(saver, fund) == 0
    assert scenes.system_balance(OWED, fund, shares=True) == Decimal("-0.50")
    assert IncomeShortfall.objects.get().amount == Decimal("0.50")
    assert scenes.is_paid(fund, "2013-07-03")
    scenes.nothing_is_wrong()


def test_nobody_is_asked_for_more_than_the_accounts_hold(committed_db: TestDatabase) -> None:
    """No balance is ever below what its holds set aside, on a day that loses."""
    fund = scenes.a_fund("2013-07-03")
    _paid_one_day(fund, "-2.0001")

    assert all(account.balance >= account.held for account in Account.objects.filter(kind="fund"))
