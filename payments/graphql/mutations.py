"""Sending money."""

from enum import Enum

import strawberry

import payments.graphql.errors  # noqa: F401  the types of the refusals
from payments import errors, transfers
from payments.graphql.types import Transfer, transfers_seen_by
from payments.payees import Payee
from superapp.errors import RateLimited
from superapp.graphql.context import Info, signed_in
from superapp.graphql.operations import mutation
from superapp.graphql.relay import node_id, read_node_id
from superapp.graphql.scalars import Money, MoneyInput
from wallet import errors as wallet_errors
from wallet.graphql.errors import PIN_ERRORS


@strawberry.enum(description="When a transfer reaches its recipient.")
class Arrival(Enum):
    INSTANT = strawberry.enum_value("INSTANT", description="At once, which is usually a second or two.")


@strawberry.input(one_of=True, description="Whom to pay: exactly one of these.")
class PayeeInput:
    id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="The person's id.")
    phone: str | None = strawberry.field(
        default=strawberry.UNSET, description="The person's phone number, best with + and country code."
    )
    handle: str | None = strawberry.field(default=strawberry.UNSET, description="The person's unique name.")


@strawberry.input(description="Money for a person.")
class SendMoneyInput:
    to: PayeeInput = strawberry.field(description="Who gets it.")
    amount: MoneyInput = strawberry.field(description="What is sent; it leaves the wallet in that currency.")
    note: str = strawberry.field(default="", description="For the recipient; at most 200 characters.")
    pin: str | None = strawberry.field(
        default=None, description="The viewer's payment PIN; not needed for a small payment, see `setSmallPayments`."
    )
    idempotency_key: str = strawberry.field(
        description="Chosen by the client, 1 to 200 printable ASCII characters: the same key has one effect and one answer."
    )
    dry_run: bool = strawberry.field(
        default=False, description="Answer what would happen, and do nothing; the PIN counts as a try."
    )


@strawberry.type(description="The money has left the sender, or after a dry run: would have.")
class SendMoneySuccess:
    transfer: Transfer | None = strawberry.field(description="Watch its state; null after a dry run.")
    amount: Money = strawberry.field(description="What the recipient gets.")
    fee: Money = strawberry.field(description="What it costs the sender on top.")
    source_id: strawberry.ID = strawberry.field(description="The account it is taken from.")
    arrival: Arrival = strawberry.field(description="When the recipient has it.")


def _payee(named: PayeeInput) -> Payee:
    if named.id:
        found = read_node_id(named.id)
        if found is None or found[0] != "Person":
            raise errors.PayeeNotFound().at("to", "id")
        return Payee(id=found[1])
    return Payee(phone=named.phone or None, handle=named.handle or None)


@strawberry.type
class Mutation:
    """The payments' part."""

    @mutation(
        raises=[
            errors.PayeeNotFound,
            errors.CannotPayYourself,
            errors.NoteTooLong,
            wallet_errors.WalletNotOpen,
            wallet_errors.InsufficientFunds,
            wallet_errors.LimitExceeded,
            wallet_errors.AccountClosed,
            wallet_errors.AccountFrozen,
            *PIN_ERRORS,
            RateLimited,
        ],
        moves_money=True,
        checks_pin=True,
        calls=[transfers.send_money],
    )
    def send_money(self, info: Info, input: SendMoneyInput) -> SendMoneySuccess:
        """Sends money to a person: it leaves the viewer's wallet now and reaches theirs a moment later."""
        viewer = signed_in(info)
        sent = transfers.send_money(
            sender_id=viewer.pk,
            to=_payee(input.to),
            amount=input.amount.amount,
            currency=input.amount.currency,
            note=input.note,
            pin=input.pin,
            key=input.idempotency_key,
            dry_run=input.dry_run,
        )
        if sent.transfer is not None:
            sent.transfer.sender = viewer
            shown: Transfer | None = Transfer.of(sent.transfer, viewer.pk)
        else:
            shown = None if sent.dry_run else transfers_seen_by(viewer.pk, [sent.transfer_id])[sent.transfer_id]
        return SendMoneySuccess(
            transfer=shown,
            amount=Money.of(sent.amount, sent.currency),
            fee=Money.of(sent.fee, sent.currency),
            source_id=node_id("Account", sent.source_account_id),
            arrival=Arrival[sent.arrival],
        )
