"""A person's orders: subscribe, redeem, cancel. What happens to them later, and in sets, is in `funds.order_sets`.

| side | from | to | when |
|---|---|---|---|
| subscription | PLACED | CONFIRMED | 00:00 of the effective day: shares come and begin to earn |
| subscription | PLACED | CANCELLED | by its owner, until the cut-off of T: the cash comes back |
| subscription | PLACED | REJECTED | its account cannot take shares: the cash comes back |
| redemption | PLACED | LEFT | 00:00 of the effective day: shares leave, their cash is due |
| redemption | LEFT | PAID | the manager has settled: the cash reaches the wallet |
| redemption | PLACED | CANCELLED | by its owner, until the cut-off of T: the hold ends |
| redemption | PLACED | CANCELLED | its account may not lose shares (frozen, closed): the hold ends |

Subscribed cash waits in `fund_orders`: it is no balance of the wallet and no share yet. Redeemed shares are held and go on
earning until they leave. Nothing counts from the future: an order waits for its day and then counts back to 00:00 of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from funds import catalogue
from funds.catalogue import Operation
from funds.errors import BelowMinimum, NothingToRedeem, OrderNotCancellable, RedemptionOfAllOpen
from funds.flows import REDEMPTION_PLACED, SUBSCRIPTION_PLACED, SUBSCRIPTION_RETURNED
from funds.models import Fund, FundOrder
from funds.policies import CUT_OFF
from funds.trading import OrderDays, order_days
from superapp import clock, idempotency
from superapp.errors import InvalidAmount, NotFound
from superapp.ids import uuid7
from superapp.money import positive
from wallet.accounts import account_of, open_account, system_account
from wallet.errors import WalletNotOpen
from wallet.flows import FUND, FUND_ORDERS, WALLET
from wallet.holds import PlaceHold, ReleaseHold
from wallet.ledger import Leg, Plan, lock_accounts, post
from wallet.models import Account, Hold

_S = FundOrder.State

MOVES: Mapping[tuple[FundOrder.Side, FundOrder.State], frozenset[FundOrder.State]] = {
    (FundOrder.Side.SUBSCRIBE, _S.PLACED): frozenset({_S.CONFIRMED, _S.CANCELLED, _S.REJECTED}),
    (FundOrder.Side.REDEEM, _S.PLACED): frozenset({_S.LEFT, _S.CANCELLED}),
    (FundOrder.Side.REDEEM, _S.LEFT): frozenset({_S.PAID}),
}
"""The allowed moves. Every move is a conditional UPDATE that names the state it comes from."""


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    """What a request came to. Of a dry run nothing is stored, and `order_id` names nothing."""

    order_id: UUID
    fund: str
    amount: Decimal | None
    currency: str
    trade_day: date
    effective_day: date
    fee: Decimal
    """What it costs on top: nothing, so far."""
    first_income_day: date | None
    """Of a subscription: the first day it earns."""
    last_income_day: date | None
    """Of a redemption: the last day its shares earn."""
    replayed: bool


def subscribe(
    *, person_id: UUID, fund_code: str, amount: Decimal, currency: str, key: str, dry_run: bool = False
) -> PlacedOrder:
    """Places an order to buy shares for `amount` of the person's wallet, once under this key.

    Raises NotFound (fund), InvalidAmount, FundOperationRefused, TermsNotAccepted, BelowMinimum, WalletNotOpen,
    InsufficientFunds, AccountClosed, AccountFrozen, IdempotencyKeyReused, InvalidIdempotencyKey.
    """
    asked = positive(amount, currency).amount
    done = idempotency.once(
        user_id=person_id,
        operation="subscribeFund",
        key=key,
        request={"fund": fund_code, "amount": asked, "currency": currency},
        act=lambda: _place_subscription(person_id, fund_code, asked, currency),
        dry_run=dry_run,
    )
    return _placed(done)


def redeem(
    *, person_id: UUID, fund_code: str, amount: Decimal | None, currency: str | None, key: str, dry_run: bool = False
) -> PlacedOrder:
    """Places an order to give back shares worth `amount`, or all of them when it is None, once under this key.

    All means the balance when the shares leave; what the holding has earned and is paid later goes to the wallet.
    Raises NotFound (fund), InvalidAmount, FundOperationRefused, NothingToRedeem, RedemptionOfAllOpen, WalletNotOpen,
    InsufficientFunds, AccountClosed, AccountFrozen, IdempotencyKeyReused, InvalidIdempotencyKey.
    """
    asked = None if amount is None else positive(amount, currency or "").amount
    done = idempotency.once(
        user_id=person_id,
        operation="redeemFund",
        key=key,
        request={"fund": fund_code, "amount": asked, "currency": currency},
        act=lambda: _place_redemption(person_id, fund_code, asked, currency),
        dry_run=dry_run,
    )
    return _placed(done)


def cancel(*, person_id: UUID, order_id: UUID, key: str, dry_run: bool = False) -> UUID:
    """Takes an order back before the cut-off of its trade day, once under this key; the cash or the shares are free again.

    Raises NotFound (also for another person's order), OrderNotCancellable, IdempotencyKeyReused, InvalidIdempotencyKey.
    """
    done = idempotency.once(
        user_id=person_id,
        operation="cancelFundOrder",
        key=key,
        request={"order": order_id},
        act=lambda: _cancel(person_id, order_id),
        dry_run=dry_run,
    )
    return UUID(done.answer["order"])


def cut_off_of(order: FundOrder) -> datetime:
    """Until when, this instant excluded, the order may be cancelled: the cut-off of its trade day, as it ruled then."""
    zone = catalogue.zone_of(order.fund)
    cut_off = CUT_OFF.at(order.placed_at, order.fund.code).value
    return datetime.combine(order.trade_day, cut_off, tzinfo=zone)


def give_back(order: FundOrder, *, end: FundOrder.State) -> None:
    """Ends a placed order without effect, in the caller's transaction, which has locked its row.

    What it holds cannot change meanwhile: a loss that takes from holds locks their orders first, and may have left nothing.
    """
    entry_id: UUID | None = None
    if order.side == FundOrder.Side.SUBSCRIBE:
        cash = catalogue.cash_asset(order.fund)
        amount = order.amount or Decimal(0)
        waiting = system_account(FUND_ORDERS, cash, scope=order.fund.code)
        legs = [Leg(waiting, -amount), Leg(order.cash_account_id, amount)]
        entry_id = post(Plan(kind=SUBSCRIPTION_RETURNED, subject=order.id, legs=legs))[0].entry_id
    elif order.hold_id and Hold.objects.filter(pk=order.hold_id, state=Hold.State.OPEN).exists():
        release = ReleaseHold(account=order.share_account_id, hold_id=order.hold_id)
        post(Plan(kind=REDEMPTION_PLACED, subject=order.id, legs=[], holds=[release]))
    FundOrder.objects.filter(pk=order.pk, state=_S.PLACED).update(state=end, ended_entry_id=entry_id)


def _place_subscription(person_id: UUID, fund_code: str, amount: Decimal, currency: str) -> dict[str, str]:
    fund = catalogue.fund_named(fund_code)
    _check_currency(fund, currency)
    catalogue.check_allowed(fund=fund, operation=Operation.SUBSCRIBE)
    catalogue.check_terms_accepted(person_id=person_id, fund=fund)
    if amount < fund.minimum:
        raise BelowMinimum(fund=fund.code, minimum=fund.minimum, currency=fund.currency)
    placed_at = clock.now()
    days = _days(fund, placed_at)
    catalogue.lock_against_freezing(fund_id=fund.id, counting_from=days.effective_day)
    wallet = _wallet_of(person_id, fund)
    shares = open_account(owner_id=person_id, kind=FUND, asset=catalogue.share_asset(fund))
    order = _new_order(
        fund=fund,
        side=FundOrder.Side.SUBSCRIBE,
        person_id=person_id,
        placed_at=placed_at,
        days=days,
        wallet=wallet,
        shares=shares,
    )
    order.amount = amount
    posted = post(
        Plan(
            kind=SUBSCRIPTION_PLACED,
            subject=order.id,
            legs=[
                Leg(wallet.id, -amount),
                Leg(system_account(FUND_ORDERS, catalogue.cash_asset(fund), scope=fund.code), amount),
            ],
        )
    )[0]
    order.placed_entry_id = posted.entry_id
    order.save(force_insert=True)
    return _answer(order, fund)


def _place_redemption(person_id: UUID, fund_code: str, amount: Decimal | None, currency: str | None) -> dict[str, str]:
    fund = catalogue.fund_named(fund_code)
    if amount is not None:
        _check_currency(fund, currency)
    catalogue.check_allowed(fund=fund, operation=Operation.REDEEM)
    placed_at = clock.now()
    days = _days(fund, placed_at)
    catalogue.lock_against_freezing(fund_id=fund.id, counting_from=days.effective_day)
    shares = account_of(owner_id=person_id, kind=FUND, asset=catalogue.share_asset(fund))
    if shares is None:
        raise NothingToRedeem(fund=fund.code)
    wallet = _wallet_of(person_id, fund)
    locked = lock_accounts([shares.id])[shares.id]
    _check_no_redemption_of_all(fund, shares)
    set_aside = locked.available if amount is None else amount
    if set_aside <= 0:
        raise NothingToRedeem(fund=fund.code)
    order = _new_order(
        fund=fund,
        side=FundOrder.Side.REDEEM,
        person_id=person_id,
        placed_at=placed_at,
        days=days,
        wallet=wallet,
        shares=shares,
    )
    order.whole = amount is None
    order.amount = amount
    order.hold_id = uuid7()
    hold = PlaceHold(account=shares.id, hold_id=order.hold_id, amount=set_aside, subject=order.id)
    post(Plan(kind=REDEMPTION_PLACED, subject=order.id, legs=[], holds=[hold]))
    order.save(force_insert=True)
    return _answer(order, fund)


def _cancel(person_id: UUID, order_id: UUID) -> dict[str, str]:
    order = (
        FundOrder.objects.select_for_update(no_key=True, of=("self",))
        .select_related("fund")
        .filter(pk=order_id, owner_id=person_id)
        .first()
    )
    if order is None:
        raise NotFound(what="order")
    until = cut_off_of(order)
    if order.state != _S.PLACED or clock.now() >= until:
        raise OrderNotCancellable(state=FundOrder.State(order.state).label.lower(), until=until)
    give_back(order, end=_S.CANCELLED)
    return {"order": str(order.id)}


def _days(fund: Fund, placed_at: datetime) -> OrderDays:
    cut_off = CUT_OFF.at(placed_at, fund.code).value
    return order_days(placed_at=placed_at, zone=catalogue.zone_of(fund), cut_off=cut_off)


def _check_currency(fund: Fund, currency: str | None) -> None:
    if currency != fund.currency:
        raise InvalidAmount(reason=f"this fund takes {fund.currency}")


def _check_no_redemption_of_all(fund: Fund, shares: Account) -> None:
    """Under the account's lock: of two redemptions of all at once the second sees the first."""
    open_one = FundOrder.objects.filter(
        share_account=shares, side=FundOrder.Side.REDEEM, whole=True, state=_S.PLACED
    ).first()
    if open_one is not None:
        raise RedemptionOfAllOpen(fund=fund.code, leave_day=open_one.effective_day)


def _wallet_of(person_id: UUID, fund: Fund) -> Account:
    wallet = account_of(owner_id=person_id, kind=WALLET, asset=catalogue.cash_asset(fund))
    if wallet is None:
        raise WalletNotOpen(currency=fund.currency)
    return wallet


def _new_order(
    *,
    fund: Fund,
    side: FundOrder.Side,
    person_id: UUID,
    placed_at: datetime,
    days: OrderDays,
    wallet: Account,
    shares: Account,
) -> FundOrder:
    return FundOrder(
        fund=fund,
        owner_id=person_id,
        side=side,
        placed_at=placed_at,
        trade_day=days.trade_day,
        effective_day=days.effective_day,
        cash_account=wallet,
        share_account=shares,
    )


def _answer(order: FundOrder, fund: Fund) -> dict[str, str]:
    return {
        "order": str(order.id),
        "side": order.side,
        "fund": fund.code,
        "currency": fund.currency,
        "amount": "" if order.amount is None else format(order.amount, "f"),
        "trade_day": order.trade_day.isoformat(),
        "effective_day": order.effective_day.isoformat(),
    }


def _placed(done: idempotency.Done) -> PlacedOrder:
    answer = done.answer
    effective_day = date.fromisoformat(answer["effective_day"])
    buys = answer["side"] == FundOrder.Side.SUBSCRIBE
    return PlacedOrder(
        order_id=UUID(answer["order"]),
        fund=answer["fund"],
        amount=Decimal(answer["amount"]) if answer["amount"] else None,
        currency=answer["currency"],
        trade_day=date.fromisoformat(answer["trade_day"]),
        effective_day=effective_day,
        fee=Decimal(0),
        first_income_day=effective_day if buys else None,
        last_income_day=None if buys else effective_day - timedelta(days=1),
        replayed=done.replayed,
    )
