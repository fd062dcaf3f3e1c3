"""A holder whose account is frozen holds up nobody: the fund's days go on, and what the holder would lose is owed."""

from decimal import Decimal

from funds.models import FundOrder, IncomeShortfall
from tests.funds import scenes
from wallet import freezes
from wallet.assurance import AccountFreeze
from wallet.freezes import Suspicion


def _freeze(account: object) -> None:
    found = Suspicion(
        row=f"account {account}", fault="for a test", found_by="I3", reason=AccountFreeze.Reason.INVARIANT
    )
    assert len(freezes.freeze([found])) == 1


def test_a_redemption_whose_shares_may_not_leave_is_cancelled_and_the_others_go_on(committed_db: None) -> None:
    fund = scenes.a_fund()
    frozen, free = scenes.a_saver(fund, "1000.00"), scenes.a_saver(fund, "1000.00")
    with scenes.on("2013-06-28", "10:00"):
        orders = [scenes.buy(saver, fund, "1000.00") for saver in (frozen, free)]
    with scenes.on("2013-07-01", "10:30"):
        scenes.sweep()
        orders = [scenes.sell(saver, fund, "400.00") for saver in (frozen, free)]
        _freeze(scenes.shares_account(frozen, fund).id)
    scenes.sweep_each_day("2013-07-02", "2013-07-03")

    assert [scenes.order_of(order).state for order in orders] == [FundOrder.State.CANCELLED, FundOrder.State.PAID]
    assert scenes.shares_of(frozen, fund) == Decimal("1000.00")
    assert scenes.shares_account(frozen, fund).held == 0
    assert scenes.cash_of(free) == Decimal("400.00")


def test_a_loss_that_a_frozen_holder_would_bear_is_owed_and_income_is_kept(committed_db: None) -> None:
    fund = scenes.a_fund()
    saver = scenes.a_saver(fund, "10000.00")
    with scenes.on("2013-06-28", "10:00"):
        scenes.buy(saver, fund, "10000.00")
    with scenes.on("2013-07-01", "10:30"):
        scenes.sweep()
        _freeze(scenes.shares_account(saver, fund).id)
    with scenes.on("2013-07-02", "10:30"):
        scenes.publish(fund, {"2013-07-01": "-1.0000"})
        scenes.sweep()
    with scenes.on("2013-07-03", "10:30"):
        scenes.publish(fund, {"2013-07-02": "2.5000"})
        scenes.sweep()

    shortfall = IncomeShortfall.objects.get()
    assert (shortfall.amount, shortfall.collected) == (Decimal("1.00"), 0)
    assert scenes.shares_of(saver, fund) == Decimal("10002.50")
    scenes.nothing_is_wrong()
