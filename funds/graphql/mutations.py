"""Accepting terms, subscribing, redeeming, cancelling."""

from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

import strawberry

import funds.graphql.errors  # noqa: F401  the types of the refusals
from funds import catalogue, errors, holdings, orders
from funds.graphql.types import FundOrder, FundTerms
from superapp.errors import IdempotencyKeyReused, InvalidAmount, InvalidIdempotencyKey, NotFound
from superapp.graphql.context import Info, signed_in
from superapp.graphql.operations import mutation
from superapp.graphql.relay import key_of
from superapp.graphql.scalars import Money, MoneyInput
from wallet import errors as wallet_errors

ORDER_ERRORS = (
    NotFound,
    errors.FundOperationRefused,
    wallet_errors.WalletNotOpen,
    wallet_errors.InsufficientFunds,
    wallet_errors.AccountClosed,
    wallet_errors.AccountFrozen,
)


@strawberry.input(description="Which terms are accepted.")
class AcceptFundTermsInput:
    fund: str = strawberry.field(description="The fund's code.")
    version: int = strawberry.field(description="The version the viewer has read; it must be the one in force.")


@strawberry.type(description="The terms are accepted; the fund can be bought.")
class AcceptFundTermsSuccess:
    terms: FundTerms = strawberry.field(description="The version that was accepted.")


@strawberry.input(description="Cash for shares.")
class SubscribeFundInput:
    fund: str = strawberry.field(description="The fund's code.")
    amount: MoneyInput = strawberry.field(description="What is taken from the wallet, in the fund's currency.")
    idempotency_key: str = strawberry.field(
        description="Chosen by the client, 1 to 200 printable ASCII characters: the same key has one effect and one answer."
    )
    dry_run: bool = strawberry.field(default=False, description="Answer what would happen, and do nothing.")


@strawberry.type(description="The order is placed, or after a dry run: would be.")
class SubscribeFundSuccess:
    order: FundOrder | None = strawberry.field(description="Watch its state; null after a dry run.")
    amount: Money = strawberry.field(description="What is taken from the wallet; shares are bought for all of it.")
    fee: Money = strawberry.field(description="What it costs on top.")
    trade_day: date = strawberry.field(description="The trading day it belongs to.")
    first_income_day: date = strawberry.field(description="The day it is confirmed on and earns from.")


@strawberry.input(description="Shares for cash: an amount, or all.")
class RedeemFundInput:
    fund: str = strawberry.field(description="The fund's code.")
    amount: MoneyInput | None = strawberry.field(
        default=None, description="What is given back; left out together with `all`: true."
    )
    all: bool = strawberry.field(
        default=False, description="Everything there is when the shares leave; later income goes to the wallet."
    )
    idempotency_key: str = strawberry.field(
        description="Chosen by the client, 1 to 200 printable ASCII characters: the same key has one effect and one answer."
    )
    dry_run: bool = strawberry.field(default=False, description="Answer what would happen, and do nothing.")


@strawberry.type(description="The order is placed, or after a dry run: would be.")
class RedeemFundSuccess:
    order: FundOrder | None = strawberry.field(description="Watch its state; null after a dry run.")
    amount: Money | None = strawberry.field(
        description="What is given back; null for all, known when the shares leave."
    )
    fee: Money = strawberry.field(description="What it costs.")
    trade_day: date = strawberry.field(description="The trading day it belongs to.")
    leave_day: date = strawberry.field(description="The shares leave at 00:00 of this day; the cash follows.")
    last_income_day: date = strawberry.field(description="The last day they earn.")


@strawberry.input(description="Which order is taken back.")
class CancelFundOrderInput:
    order_id: strawberry.ID = strawberry.field(description="The order's id.")
    idempotency_key: str = strawberry.field(
        description="Chosen by the client, 1 to 200 printable ASCII characters: the same key has one effect and one answer."
    )
    dry_run: bool = strawberry.field(
        default=False, description="Answer whether it could be taken back, and do nothing."
    )


@strawberry.type(description="The order is taken back, or after a dry run: could be; cash or shares are free again.")
class CancelFundOrderSuccess:
    order: FundOrder = strawberry.field(description="The order, cancelled; after a dry run as it stands.")


@strawberry.type
class Mutation:
    """The funds' part."""

    @mutation(raises=[NotFound, errors.TermsNotAccepted], calls=[catalogue.accept_terms])
    def accept_fund_terms(self, info: Info, input: AcceptFundTermsInput) -> AcceptFundTermsSuccess:
        """Accepts a fund's current terms, which a first purchase needs; accepting again changes nothing."""
        acceptance = catalogue.accept_terms(person_id=signed_in(info).pk, fund_code=input.fund, version=input.version)
        terms = acceptance.terms
        return AcceptFundTermsSuccess(
            terms=FundTerms(version=terms.version, text=terms.text, effective_from=terms.effective_from, accepted=True)
        )

    @mutation(
        raises=[*ORDER_ERRORS, errors.TermsNotAccepted, errors.BelowMinimum],
        moves_money=True,
        calls=[orders.subscribe],
    )
    def subscribe_fund(self, info: Info, input: SubscribeFundInput) -> SubscribeFundSuccess:
        """Buys shares of a fund from the wallet. The money earns from `firstIncomeDay` on, and is not spendable before."""
        viewer = signed_in(info)
        placed = orders.subscribe(
            person_id=viewer.pk,
            fund_code=input.fund,
            amount=input.amount.amount,
            currency=input.amount.currency,
            key=input.idempotency_key,
            dry_run=input.dry_run,
        )
        return SubscribeFundSuccess(
            order=None if input.dry_run else _order(viewer.pk, placed.order_id),
            amount=Money.of(placed.amount or Decimal(0), placed.currency),
            fee=Money.of(placed.fee, placed.currency),
            trade_day=placed.trade_day,
            first_income_day=placed.effective_day,
        )

    @mutation(
        raises=[*ORDER_ERRORS, errors.NothingToRedeem, errors.RedemptionOfAllOpen],
        moves_money=True,
        calls=[orders.redeem],
    )
    def redeem_fund(self, info: Info, input: RedeemFundInput) -> RedeemFundSuccess:
        """Gives shares of a fund back. They earn until they leave; the cash reaches the wallet on the day they leave."""
        viewer = signed_in(info)
        if (input.amount is None) is not input.all:
            raise InvalidAmount(reason="name an amount, or set `all`, not both").at("amount")
        placed = orders.redeem(
            person_id=viewer.pk,
            fund_code=input.fund,
            amount=input.amount.amount if input.amount else None,
            currency=input.amount.currency if input.amount else None,
            key=input.idempotency_key,
            dry_run=input.dry_run,
        )
        return RedeemFundSuccess(
            order=None if input.dry_run else _order(viewer.pk, placed.order_id),
            amount=None if placed.amount is None else Money.of(placed.amount, placed.currency),
            fee=Money.of(placed.fee, placed.currency),
            trade_day=placed.trade_day,
            leave_day=placed.effective_day,
            last_income_day=placed.effective_day - timedelta(days=1),
        )

    @mutation(
        raises=[NotFound, errors.OrderNotCancellable, IdempotencyKeyReused, InvalidIdempotencyKey],
        moves_money=True,
        calls=[orders.cancel],
    )
    def cancel_fund_order(self, info: Info, input: CancelFundOrderInput) -> CancelFundOrderSuccess:
        """Takes an order back until the cut-off of its trade day; cash or shares are free again at once."""
        viewer = signed_in(info)
        order_id = orders.cancel(
            person_id=viewer.pk,
            order_id=key_of(input.order_id, "FundOrder", what="order"),
            key=input.idempotency_key,
            dry_run=input.dry_run,
        )
        return CancelFundOrderSuccess(order=_order(viewer.pk, order_id))


def _order(person_id: UUID, order_id: UUID) -> FundOrder:
    return FundOrder.of(holdings.orders_of(person_id).get(pk=order_id))
