"""A person's wallets: one account per currency, and what can be said of it: available, held, on its way.

balance = available + held, to the cent, at each step. `pending` is what others have sent and the ledger still holds in
transit for this person; it is no part of the balance. Products say what is on its way through `brings_pending`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS
from django.db.models import QuerySet

from superapp.prepared import run
from wallet.accounts import account_of, currency_asset, open_account
from wallet.errors import WalletNotOpen
from wallet.flows import WALLET
from wallet.models import Account, Asset

PendingOf = Callable[[Sequence[UUID]], Mapping[UUID, Decimal]]

_pending: list[PendingOf] = []

_ACCOUNT, _ASSET = Account._meta.concrete_fields, Asset._meta.concrete_fields

_WALLETS_SQL = f"""
    SELECT {", ".join(f"a.{field.column}" for field in _ACCOUNT)}, {", ".join(f"s.{field.column}" for field in _ASSET)}
    FROM wallet_account a JOIN wallet_asset s ON s.id = a.asset_id
    WHERE a.owner_id = %s::uuid AND a.kind = %s::text AND NOT a.folded ORDER BY a.id
"""


@dataclass(frozen=True, slots=True)
class Position:
    """One account as its owner sees it, in the asset's units."""

    account: Account
    pending: Decimal

    @property
    def balance(self) -> Decimal:
        """All that the ledger owes the owner on this account."""
        return self.account.balance

    @property
    def held(self) -> Decimal:
        """The part that open holds set aside."""
        return self.account.held

    @property
    def available(self) -> Decimal:
        """The part that can be spent."""
        return self.account.balance - self.account.held


def brings_pending(function: PendingOf) -> PendingOf:
    """Registers a product's answer to: what is on its way to these accounts? One call for many accounts."""
    _pending.append(function)
    return function


def open_wallet(*, owner_id: UUID, currency: str) -> Account:
    """The person's wallet in that currency, opened now if there is none; calling it again changes nothing.

    Raises InvalidAmount for a currency the system does not carry.
    """
    return open_account(owner_id=owner_id, kind=WALLET, asset=currency_asset(currency))


def wallet_of(*, owner_id: UUID, currency: str) -> Account:
    """The person's wallet in that currency. Raises WalletNotOpen, and InvalidAmount for an unknown currency."""
    account = account_of(owner_id=owner_id, kind=WALLET, asset=currency_asset(currency))
    if account is None:
        raise WalletNotOpen(currency=currency)
    return account


def accounts_of(owner_id: UUID) -> QuerySet[Account]:
    """Everything the person holds, oldest first."""
    return Account.objects.filter(owner_id=owner_id, folded=False).select_related("asset").order_by("id")


def wallets_of(owner_id: UUID) -> list[Account]:
    """The person's wallets with their assets, oldest first; one prepared statement."""
    found = []
    for row in run(_WALLETS_SQL, (owner_id, WALLET.code)):
        account = Account.from_db(DEFAULT_DB_ALIAS, [field.attname for field in _ACCOUNT], row[: len(_ACCOUNT)])
        account.asset = Asset.from_db(DEFAULT_DB_ALIAS, [field.attname for field in _ASSET], row[len(_ACCOUNT) :])
        found.append(account)
    return found


def positions(accounts: Sequence[Account]) -> list[Position]:
    """The accounts with what is on its way to each: one query per product that brings anything, none per account."""
    ids = [account.id for account in accounts]
    coming: dict[UUID, Decimal] = dict.fromkeys(ids, Decimal(0))
    for function in _pending if ids else ():
        for account_id, amount in function(ids).items():
            coming[account_id] += amount
    return [Position(account=account, pending=coming[account.id]) for account in accounts]
