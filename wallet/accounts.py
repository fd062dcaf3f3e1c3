"""Accounts: opening them, and finding the system's own without asking the database each time.

What never changes about an account (its kind, asset, whether it is folded) is remembered per process once it is committed;
balances never are.
"""

from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from django.db import connection, transaction

from superapp import clock
from superapp.ids import uuid7
from superapp.money import minor_unit_decimals
from wallet.flows import AccountKind, account_kind
from wallet.models import Account, Asset

Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class SystemAccount:
    """What is fixed about one of the system's folded accounts."""

    id: UUID
    kind: str
    asset_id: int
    asset_type: str


_assets: dict[tuple[str, str], Asset] = {}
_assets_by_id: dict[tuple[str, int], Asset] = {}
_system: dict[tuple[str, str, str, str, int], SystemAccount] = {}
_system_by_id: dict[tuple[str, UUID], SystemAccount] = {}


def currency_asset(currency: str) -> Asset:
    """The asset of an ISO 4217 currency. Raises InvalidAmount when the system does not carry it."""
    return _asset(code=currency, type=Asset.Type.CURRENCY, decimals=minor_unit_decimals(currency))


def fund_share_asset(fund_code: str, *, decimals: int = 2) -> Asset:
    """The asset of one fund's shares."""
    return _asset(code=f"FUND:{fund_code}", type=Asset.Type.FUND_SHARES, decimals=decimals)


def open_account(*, owner_id: UUID, kind: AccountKind, asset: Asset) -> Account:
    """The owner's account of that kind in that asset, opened now if there is none. Several at once get the same one."""
    found = account_of(owner_id=owner_id, kind=kind, asset=asset)
    return found or _open(owner_id=owner_id, kind=kind, asset=asset, scope="", slot=0)


def account_of(*, owner_id: UUID, kind: AccountKind, asset: Asset) -> Account | None:
    """The owner's account of that kind in that asset, or None."""
    return Account.objects.filter(owner_id=owner_id, kind=kind.code, asset=asset, scope="", slot=0).first()


def system_account(kind: AccountKind, asset: Asset, *, scope: str = "", slot: int = 0) -> UUID:
    """The id of the system's account of that kind in that asset, opened at first use."""
    key = (_database(), kind.code, asset.code, scope, slot)
    known = _system.get(key)
    if known is None:
        row = Account.objects.filter(owner=None, kind=kind.code, asset=asset, scope=scope, slot=slot).first() or _open(
            owner_id=None, kind=kind, asset=asset, scope=scope, slot=slot
        )
        known = SystemAccount(id=row.id, kind=row.kind, asset_id=row.asset_id, asset_type=asset.type)
        _remember(_system, key, known)
        _remember(_system_by_id, (_database(), known.id), known)
    return known.id


def known_system_account(account_id: UUID) -> SystemAccount | None:
    """What is fixed about a folded account, or None when the id is no folded account's."""
    key = (_database(), account_id)
    known = _system_by_id.get(key)
    if known is None:
        row = Account.objects.select_related("asset").filter(id=account_id, folded=True).first()
        if row is None:
            return None
        known = SystemAccount(id=row.id, kind=row.kind, asset_id=row.asset_id, asset_type=row.asset.type)
        _remember(_system_by_id, key, known)
    return known


def asset_by_id(asset_id: int) -> Asset:
    """The asset of that id. Raises Asset.DoesNotExist."""
    key = (_database(), asset_id)
    known = _assets_by_id.get(key)
    if known is None:
        known = Asset.objects.get(id=asset_id)
        _remember(_assets_by_id, key, known)
    return known


def _asset(*, code: str, type: str, decimals: int) -> Asset:
    key = (_database(), code)
    known = _assets.get(key)
    if known is None:
        known = Asset.objects.filter(code=code).first()
        if known is None:
            Asset.objects.bulk_create([Asset(code=code, type=type, decimals=decimals)], ignore_conflicts=True)
            known = Asset.objects.get(code=code)
        _remember(_assets, key, known)
        _remember(_assets_by_id, (_database(), known.id), known)
    return known


def _open(*, owner_id: UUID | None, kind: AccountKind, asset: Asset, scope: str, slot: int) -> Account:
    account_kind(kind.code)
    account = Account(
        id=uuid7(),
        owner_id=owner_id,
        kind=kind.code,
        asset=asset,
        scope=scope,
        slot=slot,
        folded=kind.folded,
        created_at=clock.now(),
    )
    Account.objects.bulk_create([account], ignore_conflicts=True)
    return Account.objects.get(owner_id=owner_id, kind=kind.code, asset=asset, scope=scope, slot=slot)


def _database() -> str:
    return str(connection.settings_dict["NAME"])


def _remember(memory: dict[Key, Value], key: Key, value: Value) -> None:
    """Only what is committed may be remembered: a row of a transaction that rolls back is nobody's."""
    transaction.on_commit(lambda: memory.__setitem__(key, value))
