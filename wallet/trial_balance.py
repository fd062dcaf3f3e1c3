"""The trial balance: every account's balance, added up by asset, kind and scope, from one snapshot.

One statement, so one snapshot: folded accounts count their checkpoint plus what was posted since, inline accounts their
balance. Each asset must come to zero (I2); `verify_ledger` checks the same from the postings themselves.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from uuid import UUID

from django.db import connection, transaction

from superapp import clock
from wallet.flows import NOT_IN_TABLE, find_account_kind

MOST_SECONDS = 20

SQL = """
    WITH since AS MATERIALIZED (
        SELECT p.account_id, sum(p.amount) AS amount
        FROM wallet_posting p JOIN wallet_account a ON a.id = p.account_id AND a.folded
        WHERE p.tx >= (SELECT tx FROM wallet_foldcheckpoint)
        GROUP BY p.account_id
    )
    SELECT s.code, s.decimals, a.kind, a.scope, a.folded, count(*) AS accounts,
           sum(a.balance + coalesce(n.amount, 0)) AS balance, sum(a.held) AS held,
           CASE WHEN count(*) = 1 THEN min(a.id::text) END AS only_account
    FROM wallet_account a JOIN wallet_asset s ON s.id = a.asset_id LEFT JOIN since n ON n.account_id = a.id
    GROUP BY s.code, s.decimals, a.kind, a.scope, a.folded
    ORDER BY s.code, a.folded, a.kind, a.scope
"""


@dataclass(frozen=True, slots=True)
class TrialLine:
    """All accounts of one kind and scope in one asset. `only_account`: the account, when there is just one."""

    asset: str
    decimals: int
    kind: str
    scope: str
    folded: bool
    accounts: int
    balance: Decimal
    held: Decimal
    only_account: UUID | None

    @property
    def is_debit(self) -> bool:
        """Whether the balance is below zero; asked of its sign, for one that is no number (a hand's doing) has no order."""
        return self.balance.is_signed()

    @property
    def description(self) -> str:
        """What accounts of this kind are for, or that nobody has declared it."""
        kind = find_account_kind(self.kind)
        return kind.description if kind else NOT_IN_TABLE


@dataclass(frozen=True, slots=True)
class TrialAsset:
    """One asset's lines. Credits are owed to owners; debits are what stands against them; they must be equal."""

    asset: str
    decimals: int
    lines: list[TrialLine]

    @property
    def credits(self) -> Decimal:
        """Sum of the balances above zero; no number where one of them is none."""
        return sum((line.balance for line in self.lines if not line.is_debit), Decimal(0))

    @property
    def debits(self) -> Decimal:
        """Sum of the balances below zero, without its sign."""
        return -sum((line.balance for line in self.lines if line.is_debit), Decimal(0))

    @property
    def difference(self) -> Decimal:
        """Zero, or the ledger is broken."""
        return self.credits - self.debits


@dataclass(frozen=True, slots=True)
class TrialBalance:
    """Every asset, with the instant at which the snapshot was taken."""

    taken_at: datetime
    assets: list[TrialAsset]

    @property
    def is_balanced(self) -> bool:
        """Whether every asset comes to zero."""
        return all(asset.difference == 0 for asset in self.assets)


def trial_balance() -> TrialBalance:
    """Adds up all accounts. It reads every one of them, so it may take up to MOST_SECONDS on a large installation."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL statement_timeout = '{MOST_SECONDS}s'")
        taken_at = clock.now()
        cursor.execute(SQL)
        lines = [_line(row) for row in cursor.fetchall()]
    return TrialBalance(taken_at=taken_at, assets=list(_by_asset(lines)))


def _line(row: tuple[str, int, str, str, bool, int, Decimal, Decimal, str | None]) -> TrialLine:
    asset, decimals, kind, scope, folded, accounts, balance, held, only = row
    return TrialLine(
        asset=asset,
        decimals=decimals,
        kind=kind,
        scope=scope,
        folded=folded,
        accounts=accounts,
        balance=balance,
        held=held,
        only_account=UUID(only) if only else None,
    )


def _by_asset(lines: Iterable[TrialLine]) -> Iterable[TrialAsset]:
    for asset, of_asset in groupby(lines, key=lambda line: line.asset):
        kept = list(of_asset)
        yield TrialAsset(asset=asset, decimals=kept[0].decimals, lines=kept)
