"""Balances, read: now, and as of any instant by effective and by recorded time."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db import connection

BALANCE_SQL = """
    SELECT CASE WHEN a.folded THEN a.balance + coalesce((
        SELECT sum(p.amount) FROM wallet_posting p WHERE p.account_id = a.id AND p.tx >= c.tx), 0)
        ELSE a.balance END
    FROM wallet_account a CROSS JOIN wallet_foldcheckpoint c
    WHERE a.id = %(account)s
"""

AS_OF_SQL = """
    SELECT coalesce(sum(amount), 0)
    FROM wallet_posting
    WHERE account_id = %(account)s
      AND (%(effective)s::timestamptz IS NULL OR effective_at <= %(effective)s)
      AND (%(recorded)s::timestamptz IS NULL OR recorded_at <= %(recorded)s)
"""


def balance_of(account_id: UUID) -> Decimal:
    """The balance of any account, inline or folded, from one snapshot. Raises LookupError when there is no such account."""
    with connection.cursor() as cursor:
        cursor.execute(BALANCE_SQL, {"account": account_id})
        row = cursor.fetchone()
    if row is None:
        raise LookupError(f"There is no account {account_id}.")
    return Decimal(row[0])


def balance_as_of(account_id: UUID, *, effective: datetime | None = None, recorded: datetime | None = None) -> Decimal:
    """The balance as it counted at `effective`, as it was known at `recorded`; either may be left open."""
    with connection.cursor() as cursor:
        cursor.execute(AS_OF_SQL, {"account": account_id, "effective": effective, "recorded": recorded})
        return Decimal(cursor.fetchone()[0])
