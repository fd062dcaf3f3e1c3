"""What a person has in funds: shares, what is free, held and on its way, what it has earned. Read only.

Shares are worth 1.0000 each, so `value` is the number of shares. Each function asks a constant number of queries.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

from funds import catalogue
from funds.models import Fund, FundOrder
from superapp import clock
from wallet.flows import FUND
from wallet.models import Account
from wallet.wallets import brings_pending

INCOME_SQL = """
    SELECT p.account_id, sum(p.amount), coalesce(sum(p.amount) FILTER (WHERE r.day = y.day), 0)
    FROM unnest(%(accounts)s::uuid[], %(yesterdays)s::date[]) AS y (account_id, day)
    JOIN wallet_posting p ON p.account_id = y.account_id
    JOIN superapp_run r ON r.id = p.subject AND r.kind = 'fund_income'
    GROUP BY p.account_id
"""

DAYS_SQL = """
    SELECT r.day, sum(p.amount), count(*)
    FROM wallet_posting p JOIN superapp_run r ON r.id = p.subject AND r.kind = 'fund_income'
    WHERE p.account_id = %(account)s AND r.day BETWEEN %(low)s AND %(high)s
    GROUP BY r.day ORDER BY r.day
"""

PENDING_SQL = """
    SELECT share_account_id, sum(amount) FROM funds_fundorder
    WHERE share_account_id = ANY(%(accounts)s) AND state = 'placed' AND side = 'subscribe' GROUP BY share_account_id
    UNION ALL
    SELECT cash_account_id, sum(amount) FROM funds_fundorder
    WHERE cash_account_id = ANY(%(accounts)s) AND state = 'left' GROUP BY cash_account_id
"""


@dataclass(frozen=True, slots=True)
class Holding:
    """A person's position in one fund. available + held = shares; `pending` is no part of them yet."""

    fund: Fund
    account_id: UUID
    shares: Decimal
    available: Decimal
    held: Decimal
    pending: Decimal
    yesterday_income: Decimal
    total_income: Decimal


@dataclass(frozen=True, slots=True)
class DayIncome:
    """What a person got for one day, corrections included."""

    day: date
    amount: Decimal
    postings: int


def holdings_of(person_id: UUID) -> list[Holding]:
    """Every fund the person has shares, orders or a past in, by the fund's code."""
    accounts = list(
        Account.objects.filter(owner_id=person_id, kind=FUND.code).select_related("asset").order_by("asset__code")
    )
    funds = {f"FUND:{fund.code}": fund for fund in Fund.objects.filter(code__in=_codes(accounts))}
    shown = [(account, funds[account.asset.code]) for account in accounts if account.asset.code in funds]
    incomes = _incomes(shown)
    pending = _pending([account.id for account, _ in shown])
    return [
        Holding(
            fund=fund,
            account_id=account.id,
            shares=account.balance,
            available=account.balance - account.held,
            held=account.held,
            pending=pending.get(account.id, Decimal(0)),
            total_income=incomes.get(account.id, (Decimal(0), Decimal(0)))[0],
            yesterday_income=incomes.get(account.id, (Decimal(0), Decimal(0)))[1],
        )
        for account, fund in shown
    ]


def income_of(*, person_id: UUID, fund: Fund, low: date, high: date) -> list[DayIncome]:
    """What the person got from the fund for each day from `low` to `high` that paid something, in order."""
    account = Account.objects.filter(
        owner_id=person_id, kind=FUND.code, asset__code=catalogue.share_asset(fund).code
    ).first()
    if account is None:
        return []
    with connection.cursor() as cursor:
        cursor.execute(DAYS_SQL, {"account": account.id, "low": low, "high": high})
        return [DayIncome(day=day, amount=amount, postings=count) for day, amount, count in cursor.fetchall()]


def orders_of(person_id: UUID) -> QuerySet[FundOrder]:
    """The person's orders, each with its fund."""
    return FundOrder.objects.filter(owner_id=person_id).select_related("fund")


@brings_pending
def _pending(accounts: Sequence[UUID]) -> Mapping[UUID, Decimal]:
    """Shares to come from unconfirmed subscriptions, cash to come from redemptions whose shares have left."""
    with connection.cursor() as cursor:
        cursor.execute(PENDING_SQL, {"accounts": list(accounts)})
        return dict(cursor.fetchall())


def _incomes(shown: Sequence[tuple[Account, Fund]]) -> dict[UUID, tuple[Decimal, Decimal]]:
    if not shown:
        return {}
    params: dict[str, Any] = {
        "accounts": [account.id for account, _ in shown],
        "yesterdays": [clock.today(catalogue.zone_of(fund)) - timedelta(days=1) for _, fund in shown],
    }
    with connection.cursor() as cursor:
        cursor.execute(INCOME_SQL, params)
        return {account: (total, yesterday) for account, total, yesterday in cursor.fetchall()}


def _codes(accounts: Sequence[Account]) -> list[str]:
    return [account.asset.code.removeprefix("FUND:") for account in accounts]
