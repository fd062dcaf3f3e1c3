"""Balances, read: now, and as of any instant by effective and by recorded time.

An answer "as known at R" is final once no transaction can still commit a posting that was recorded by then. A posting takes
its recorded time after its transaction has locked a row, so after the transaction got its number; hence a pair (T, X), where
the clock showed T before the number X was given: once every transaction up to X has ended, all that was recorded before T is
known. `folding.fold` keeps one such pair waiting, with its own number for X, and moves `known_until` along every half minute;
a read looks at the waiting pair too.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db import connection

CLOCKS_AGREE_WITHIN = timedelta(seconds=2)
"""How far the clocks of two machines of one installation may be apart: by so much what is called known stays behind."""

BALANCE_SQL = """
    SELECT CASE WHEN a.folded THEN a.balance + coalesce((
        SELECT sum(p.amount) FROM wallet_posting p WHERE p.account_id = a.id AND p.tx >= c.tx), 0)
        ELSE a.balance END
    FROM wallet_account a CROSS JOIN wallet_foldcheckpoint c
    WHERE a.id = %(account)s
"""

KNOWN_SQL = """
    SELECT greatest(c.known_until,
                    CASE WHEN c.awaited_tx <= pg_snapshot_xmin(pg_current_snapshot())::text::bigint THEN c.awaited_at END)
    FROM wallet_foldcheckpoint c
"""

# One statement, so one snapshot: the sum, and until when what it saw is all there will ever be.
AS_OF_SQL = f"""
    SELECT (
        SELECT coalesce(sum(amount), 0)
        FROM wallet_posting
        WHERE account_id = %(account)s
          AND (%(effective)s::timestamptz IS NULL OR effective_at <= %(effective)s)
          AND (%(recorded)s::timestamptz IS NULL OR recorded_at <= %(recorded)s)
    ), ({KNOWN_SQL}), pg_current_snapshot()::text
"""


@dataclass(frozen=True, slots=True)
class BalanceAsOf:
    """A balance as it counted at `effective`, as known at `recorded` (None: now), read from `snapshot`.

    `known_until`: whatever was recorded up to here is in the snapshot; None when nothing is sure yet.
    """

    balance: Decimal
    effective: datetime | None
    recorded: datetime | None
    known_until: datetime | None
    snapshot: str

    @property
    def is_final(self) -> bool:
        """Whether the same question will have the same answer for ever, whatever is back-dated later."""
        return self.recorded is not None and self.known_until is not None and self.recorded <= self.known_until


def balance_of(account_id: UUID) -> Decimal:
    """The balance of any account, inline or folded, from one snapshot. Raises LookupError when there is no such account."""
    with connection.cursor() as cursor:
        cursor.execute(BALANCE_SQL, {"account": account_id})
        row = cursor.fetchone()
    if row is None:
        raise LookupError(f"There is no account {account_id}.")
    return Decimal(row[0])


def as_of(account_id: UUID, *, effective: datetime | None = None, recorded: datetime | None = None) -> BalanceAsOf:
    """The balance as it counted at `effective`, as known at `recorded`, and whether that is final; either may be left open.

    A statement is issued from a final answer only. In a sandbox, what is under way while its clock is moved forward may still
    be recorded by the old time.
    """
    with connection.cursor() as cursor:
        cursor.execute(AS_OF_SQL, {"account": account_id, "effective": effective, "recorded": recorded})
        balance, known_until, snapshot = cursor.fetchone()
    return BalanceAsOf(
        balance=Decimal(balance), effective=effective, recorded=recorded, known_until=known_until, snapshot=snapshot
    )


def balance_as_of(account_id: UUID, *, effective: datetime | None = None, recorded: datetime | None = None) -> Decimal:
    """The figure of `as_of` alone: as far as is known to this snapshot, final or not."""
    return as_of(account_id, effective=effective, recorded=recorded).balance
