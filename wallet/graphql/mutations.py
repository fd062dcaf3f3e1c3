"""Opening wallets, bringing money in, and the payment PIN."""

import strawberry

from superapp.errors import InvalidAmount
from superapp.graphql.context import Info, signed_in
from superapp.graphql.operations import mutation
from superapp.graphql.relay import node_id
from superapp.graphql.scalars import CurrencyCode, Money, MoneyInput
from wallet import errors, pins, small_payments, top_ups, wallets
from wallet.graphql.errors import PIN_ERRORS
from wallet.graphql.types import SmallPayments, TopUp, Wallet


@strawberry.input(description="Which wallet to open.")
class OpenWalletInput:
    currency: CurrencyCode = strawberry.field(description="The wallet's currency.")


@strawberry.type(description="The wallet is open.")
class OpenWalletSuccess:
    wallet: Wallet = strawberry.field(description="The viewer's wallet in that currency, whether new or there before.")


@strawberry.input(description="How much to bring in from the viewer's bank.")
class TopUpInput:
    amount: MoneyInput = strawberry.field(description="What to bring in; the wallet in that currency must be open.")
    idempotency_key: str = strawberry.field(
        description="Chosen by the client, 1 to 200 printable ASCII characters: the same key has one effect and one answer."
    )
    dry_run: bool = strawberry.field(default=False, description="Answer what would happen, and do nothing.")


@strawberry.type(description="The bank will be asked, or after a dry run: would be.")
class TopUpSuccess:
    top_up: TopUp | None = strawberry.field(description="Watch its state; null after a dry run.")
    amount: Money = strawberry.field(description="What the wallet gets once the bank confirms.")
    fee: Money = strawberry.field(description="What it costs on top.")
    account_id: strawberry.ID = strawberry.field(description="The account that gets it.")


@strawberry.input(description="A first payment PIN.")
class SetPaymentPinInput:
    pin: str = strawberry.field(description="Six digits that do not repeat or count up or down.")


@strawberry.type(description="The payment PIN is set.")
class SetPaymentPinSuccess:
    has_payment_pin: bool = strawberry.field(description="True.")


@strawberry.input(description="A new payment PIN in place of the current one.")
class ChangePaymentPinInput:
    current_pin: str = strawberry.field(description="The PIN as it is; a wrong one counts as a try.")
    new_pin: str = strawberry.field(description="Six digits that do not repeat or count up or down.")


@strawberry.type(description="The payment PIN is changed.")
class ChangePaymentPinSuccess:
    has_payment_pin: bool = strawberry.field(description="True.")


@strawberry.input(description="Up to which amount payments pass without PIN.")
class SetSmallPaymentsInput:
    amount: MoneyInput | None = strawberry.field(
        default=None, description="The most that passes at a time; null switches it off."
    )
    pin: str | None = strawberry.field(
        default=None, description="The payment PIN; needed to switch on and to raise, not to lower or switch off."
    )


@strawberry.type(description="From the next payment on this is how it is.")
class SetSmallPaymentsSuccess:
    small_payments: SmallPayments | None = strawberry.field(description="What was chosen; null while it is off.")


@strawberry.type
class Mutation:
    """The wallet's part."""

    @mutation(raises=[InvalidAmount], calls=[wallets.open_wallet])
    def open_wallet(self, info: Info, input: OpenWalletInput) -> OpenWalletSuccess:
        """Opens the viewer's wallet in a currency; asking again changes nothing."""
        account = wallets.open_wallet(owner_id=signed_in(info).pk, currency=input.currency)
        return OpenWalletSuccess(wallet=Wallet.of(account, [account]))

    @mutation(raises=[errors.WalletNotOpen, errors.LimitExceeded], moves_money=True, calls=[top_ups.top_up])
    def top_up(self, info: Info, input: TopUpInput) -> TopUpSuccess:
        """Brings money from the viewer's bank into a wallet. The wallet is credited when the bank confirms."""
        viewer = signed_in(info)
        done = top_ups.top_up(
            owner_id=viewer.pk,
            amount=input.amount.amount,
            currency=input.amount.currency,
            key=input.idempotency_key,
            dry_run=input.dry_run,
        )
        row = None if done.dry_run else top_ups.top_ups_of(viewer.pk).get(id=done.top_up_id)
        return TopUpSuccess(
            top_up=TopUp.of(row) if row else None,
            amount=Money.of(done.amount, done.currency),
            fee=Money.of(done.fee, done.currency),
            account_id=node_id("Account", done.account_id),
        )

    @mutation(raises=[errors.PinWeak, errors.PinAlreadySet], checks_pin=True, calls=[pins.set_pin])
    def set_payment_pin(self, info: Info, input: SetPaymentPinInput) -> SetPaymentPinSuccess:
        """Sets the viewer's first payment PIN."""
        pins.set_pin(user_id=signed_in(info).pk, pin=input.pin)
        return SetPaymentPinSuccess(has_payment_pin=True)

    @mutation(raises=[errors.PinWeak, *PIN_ERRORS], checks_pin=True, calls=[pins.change_pin])
    def change_payment_pin(self, info: Info, input: ChangePaymentPinInput) -> ChangePaymentPinSuccess:
        """Replaces the payment PIN; the current one is looked at as for a payment."""
        pins.change_pin(user_id=signed_in(info).pk, current_pin=input.current_pin, new_pin=input.new_pin)
        return ChangePaymentPinSuccess(has_payment_pin=True)

    @mutation(
        raises=[InvalidAmount, errors.LimitExceeded, *PIN_ERRORS],
        checks_pin=True,
        calls=[small_payments.choose, small_payments.switch_off],
    )
    def set_small_payments(self, info: Info, input: SetSmallPaymentsInput) -> SetSmallPaymentsSuccess:
        """Chooses up to which amount payments pass without PIN, or switches that off."""
        viewer = signed_in(info)
        if input.amount is None:
            small_payments.switch_off(user_id=viewer.pk)
        else:
            small_payments.choose(
                user_id=viewer.pk, amount=input.amount.amount, currency=input.amount.currency, pin=input.pin
            )
        chosen = small_payments.chosen_by(viewer.pk)
        return SetSmallPaymentsSuccess(small_payments=SmallPayments.of(chosen) if chosen else None)
