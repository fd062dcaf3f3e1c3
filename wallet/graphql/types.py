"""What the API says of accounts, wallets, top-ups and activity."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any, cast
from uuid import UUID

import strawberry

from superapp.graphql.context import Info
from superapp.graphql.people import Person
from superapp.graphql.relay import Node, node_id
from superapp.graphql.scalars import Amount, CurrencyCode, Money
from superapp.money import exact
from wallet import models, small_payments
from wallet.activity import Item
from wallet.flows import AccountKind as AccountKindRow
from wallet.flows import EntryKind, account_kinds, entry_kinds
from wallet.wallets import Position, positions


def _enum(name: str, description: str, kinds: Sequence[AccountKindRow | EntryKind]) -> Any:
    """An enum made of rows of the flow table, so that the API knows each kind the ledger knows."""
    members: Any = Enum(name, {kind.code.upper(): kind.code for kind in kinds})  # type: ignore[misc]
    definition: Any = cast(Any, strawberry).enum(members, description=description)
    for value, kind in zip(definition.__strawberry_definition__.values, kinds, strict=True):
        value.description = kind.description
    return definition


AccountKind: Any = _enum(
    "AccountKind", "What an account is for.", [kind for kind in account_kinds() if not kind.folded]
)
ActivityKind: Any = _enum(
    "ActivityKind",
    "What happened to the money. New products bring new kinds.",
    [kind for kind in entry_kinds() if any(not leg.account.folded for leg in kind.legs)],
)


@strawberry.enum(description="Where a top-up stands.")
class TopUpState(Enum):
    REQUESTED = strawberry.enum_value("requested", description="Asked for; the bank has not been told yet.")
    INSTRUCTED = strawberry.enum_value("instructed", description="The bank has been told; its word is awaited.")
    CONFIRMED = strawberry.enum_value(
        "confirmed", description="The bank confirmed; the wallet has been credited. Final."
    )
    FAILED = strawberry.enum_value("failed", description="The bank declined; nothing was credited. Final.")


@strawberry.type(description="What its owner has on one account, in units of its asset: balance = available + held.")
class Account(Node):
    kind: AccountKind = strawberry.field(description="What the account is for.")
    asset: str = strawberry.field(description="What is counted: an ISO 4217 code, or FUND:<code> for a fund's shares.")
    balance: Amount = strawberry.field(description="All of it, in the asset's units.")
    available: Amount = strawberry.field(description="What can be spent now.")
    held: Amount = strawberry.field(description="What is set aside for something under way.")
    pending: Amount = strawberry.field(description="What is on its way here; no part of the balance yet.")
    opened_at: datetime = strawberry.field(description="When the account was opened.")

    @classmethod
    def of(cls, position: Position) -> "Account":
        """The account as it stands."""
        account = position.account
        return cls(
            id=node_id("Account", account.id),
            kind=AccountKind(account.kind),
            asset=account.asset.code,
            balance=_in_units(account, position.balance),
            available=_in_units(account, position.available),
            held=_in_units(account, position.held),
            pending=_in_units(account, position.pending),
            opened_at=account.created_at,
        )


@strawberry.type(description="A person's money in one currency: balance = available + held.")
class Wallet:
    row: strawberry.Private[models.Account]
    page: strawberry.Private[Sequence[models.Account]]
    """The wallets that were read together with this one: what is on its way to them is read together too."""

    currency: CurrencyCode = strawberry.field(description="The currency.")
    balance: Money = strawberry.field(description="All of it.")
    available: Money = strawberry.field(description="What can be spent now.")
    held: Money = strawberry.field(description="What is set aside for something under way.")

    @strawberry.field(description="The account behind it, with an id of its own.")
    def account(self, info: Info) -> Account:
        return Account.of(self._position(info))

    @strawberry.field(description="What others have sent and has not arrived; no part of the balance yet.")
    def pending(self, info: Info) -> Money:
        return Money.of(self._position(info).pending, self.currency)

    def _position(self, info: Info) -> Position:
        read = (Wallet, tuple(account.id for account in self.page))
        if read not in info.context.memo:
            info.context.memo[read] = {position.account.id: position for position in positions(self.page)}
        position: Position = info.context.memo[read][self.row.id]
        return position

    @classmethod
    def of(cls, row: models.Account, page: Sequence[models.Account]) -> "Wallet":
        """The wallet of an account as it was read, and those it was read together with."""
        currency = row.asset.code
        return cls(
            row=row,
            page=page,
            currency=CurrencyCode(currency),
            balance=Money.of(row.balance, currency),
            available=Money.of(row.balance - row.held, currency),
            held=Money.of(row.held, currency),
        )


@strawberry.type(description="Money asked of a bank; counted once the bank confirms.")
class TopUp(Node):
    amount: Money = strawberry.field(description="What was asked for.")
    state: TopUpState = strawberry.field(description="Where it stands.")
    failure: str | None = strawberry.field(description="Why the bank declined, as its code; null unless FAILED.")
    requested_at: datetime = strawberry.field(description="When it was asked for.")
    ended_at: datetime | None = strawberry.field(description="When it was confirmed or failed; null until then.")

    @classmethod
    def of(cls, row: models.TopUp) -> "TopUp":
        """The top-up behind a row."""
        return cls(
            id=node_id("TopUp", row.id),
            amount=Money.of(row.amount, row.currency),
            state=TopUpState(row.state),
            failure=row.failure or None,
            requested_at=row.requested_at,
            ended_at=row.ended_at,
        )


@strawberry.type(description="One thing that happened to the viewer's money: one posting on one of their accounts.")
class ActivityItem:
    id: strawberry.ID = strawberry.field(description="Unique and stable; not an id for `node`.")
    kind: ActivityKind = strawberry.field(description="What happened.")
    account_id: strawberry.ID = strawberry.field(description="The account it happened to.")
    asset: str = strawberry.field(description="What is counted: an ISO 4217 code, or FUND:<code> for a fund's shares.")
    amount: Amount = strawberry.field(description="In the asset's units; above zero: the viewer has more than before.")
    balance_after: Amount = strawberry.field(description="The account's balance after it, in the asset's units.")
    counterparty: Person | None = strawberry.field(description="The other person; null when there is none.")
    note: str | None = strawberry.field(description="What the sender wrote; null when there is nothing.")
    subject_id: strawberry.ID | None = strawberry.field(
        description="The transfer, top-up or order it was about, for `node`; null when it has no page of its own."
    )
    recorded_at: datetime = strawberry.field(description="When it was entered; the order of the list.")
    effective_at: datetime = strawberry.field(description="When it counts from.")

    @classmethod
    def of(cls, item: Item, people: Mapping[UUID, Person]) -> "ActivityItem":
        """The item; `people` holds the counterparties of the whole page."""
        story = item.story
        return cls(
            id=strawberry.ID(f"{item.account.id}-{item.sequence}"),
            kind=ActivityKind(item.kind),
            account_id=node_id("Account", item.account.id),
            asset=item.account.asset.code,
            amount=_in_units(item.account, item.amount),
            balance_after=_in_units(item.account, item.balance_after),
            counterparty=people.get(story.counterparty_id) if story.counterparty_id else None,
            note=story.note or None,
            subject_id=node_id(story.subject_type, item.subject) if story.subject_type else None,
            recorded_at=item.recorded_at,
            effective_at=item.effective_at,
        )


@strawberry.type(description="Payments that pass without PIN.")
class SmallPayments:
    amount: Money = strawberry.field(description="The most that passes at a time.")
    of_a_day: Money = strawberry.field(description="The most that passes in all on one business day.")
    spent_today: Money = strawberry.field(description="What has passed today.")

    @classmethod
    def of(cls, chosen: small_payments.SmallPayments) -> "SmallPayments":
        """What a person has chosen."""
        return cls(
            amount=Money.of(chosen.amount, chosen.currency),
            of_a_day=Money.of(chosen.of_a_day, chosen.currency),
            spent_today=Money.of(chosen.spent_today, chosen.currency),
        )


def _in_units(account: models.Account, amount: Decimal) -> Amount:
    return Amount(exact(amount, decimals=account.asset.decimals, largest=None))
