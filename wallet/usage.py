"""Usage: what each account has moved, summed per class and business day, so that a limit can ask how much there was.

No limit asks yet: `used` and `used_over` are called by tests alone. What is counted is kept and verified from the start, so
that the first limit finds a past to ask about.

An entry kind says in the flow table what it does to usage: it `counts` what owners lose, on the day it is recorded, or it
`gives_back`, on the day that was counted, what owners get again. The rows are written in the statement that writes the
postings, under the account's lock: nobody waits for them, and no limit sees money that is not yet, or no longer, there.

    cost    nothing for a kind without a class; for the others one row per account and entry, found by its key

The caller of an entry that gives back names the day, from the business row that both entries are about; `verify_ledger`
finds it again by the subject (I22).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from django.db import connection

from superapp import clock
from superapp.prepared import array
from wallet.errors import LedgerFault
from wallet.flows import AccountKind, UsageClass, Uses

_ADD = """
        ON CONFLICT (account_id, usage_class, day)
        DO UPDATE SET amount = u.amount + excluded.amount, count = u.count + excluded.count
"""

# A row that is not there cannot be given back from: what is inserted instead is negative and fails on a CHECK.
_TAKE_OFF = """
        ON u.account_id = b.account_id AND u.usage_class = b.usage_class AND u.day = b.day
        WHEN MATCHED THEN UPDATE SET amount = u.amount - b.amount, count = u.count - b.count
        WHEN NOT MATCHED THEN INSERT (account_id, usage_class, day, amount, count)
            VALUES (b.account_id, b.usage_class, b.day, -b.amount, -b.count)
"""

_ROWS = """
        SELECT * FROM unnest(%s::uuid[], %s::text[], %s::date[], %s::numeric[], %s::int[])
            AS b (account_id, usage_class, day, amount, count)
"""

COUNT_SQL = f"INSERT INTO wallet_usage AS u (account_id, usage_class, day, amount, count) {_ROWS} {_ADD}"
GIVE_BACK_SQL = f"MERGE INTO wallet_usage u USING ({_ROWS}) b {_TAKE_OFF}"
"""The two as `post` joins them to its own statement; five columns each."""

COUNT_PAIR_SQL = f"""
        INSERT INTO wallet_usage AS u (account_id, usage_class, day, amount, count)
        SELECT account_id, %s::text, (recorded_at AT TIME ZONE %s::text)::date, -amount, 1 FROM moved
        {_ADD}
"""
"""What counts a pair (`wallet.ledger_pairs`), in its own statement, which has `moved` one account."""

COUNT_SET_SQL = f"""
        INSERT INTO wallet_usage AS u (account_id, usage_class, day, amount, count)
        SELECT m.account_id, %(set_usage)s, %(set_day)s, -sum(m.amount), count(DISTINCT m.entry_id)
        FROM moved m WHERE m.balance_after IS NOT NULL AND m.amount < 0
        GROUP BY m.account_id
        {_ADD}
"""
GIVE_BACK_SET_SQL = f"""
        MERGE INTO wallet_usage u USING (
            SELECT m.account_id, %(set_usage)s AS usage_class, d.day, sum(m.amount) AS amount,
                   count(DISTINCT m.entry_id) AS count
            FROM moved m JOIN posted p ON p.entry_id = m.entry_id LEFT JOIN ({{days}}) d ON d.item = p.item
            WHERE m.balance_after IS NOT NULL AND m.amount > 0
            GROUP BY m.account_id, d.day
        ) b {_TAKE_OFF}
"""
"""The two as `post_set` joins them to its own: they read `moved` and `posted`, and a query of (item, day)."""


@dataclass(frozen=True, slots=True)
class Used:
    """What was moved. `amount`: in the accounts' asset."""

    amount: Decimal
    count: int


@dataclass(frozen=True, slots=True)
class Span:
    """Business days from `first` to `last`, both included; either may be left open."""

    first: date | None = None
    last: date | None = None


def used(
    accounts: Iterable[UUID], usage_class: UsageClass, *, first: date | None = None, last: date | None = None
) -> Used:
    """What these accounts (of one asset) moved in the class from day `first` to day `last`, both included, in one query."""
    return used_over(accounts, usage_class, [Span(first, last)])[0]


USED_SQL = """
    SELECT coalesce(sum(u.amount), 0), coalesce(sum(u.count), 0)
    FROM unnest(%(firsts)s::date[], %(lasts)s::date[]) WITH ORDINALITY AS s (first, last, place)
    LEFT JOIN wallet_usage u ON u.account_id = ANY(%(accounts)s::uuid[]) AND u.usage_class = %(usage_class)s
        AND u.day BETWEEN s.first AND s.last
    GROUP BY s.place ORDER BY s.place
"""


def used_over(accounts: Iterable[UUID], usage_class: UsageClass, spans: Sequence[Span]) -> list[Used]:
    """The same for several spans, such as a day, its week, its year and a lifetime, in one query and in their order."""
    with connection.cursor() as cursor:
        cursor.execute(
            USED_SQL,
            {
                "accounts": list(accounts),
                "usage_class": usage_class.code,
                "firsts": [span.first or date.min for span in spans],
                "lasts": [span.last or date.max for span in spans],
            },
        )
        return [Used(amount=amount, count=int(count)) for amount, count in cursor.fetchall()]


def accounts_counted_together(*, owner_id: UUID, asset_id: int, kinds: Iterable[AccountKind]) -> list[UUID]:
    """The accounts over which a limit counts one person: all of theirs in one asset, of the kinds the limit is about."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM wallet_account WHERE owner_id = %s AND asset_id = %s AND kind = ANY(%s) ORDER BY id",
            [owner_id, asset_id, [kind.code for kind in kinds]],
        )
        return [row[0] for row in cursor.fetchall()]


def day_of(recorded_at: datetime) -> date:
    """The business day on which what is recorded then is counted."""
    return recorded_at.astimezone(clock.business_zone()).date()


class Tally:
    """What the entries of one call of `post` do to usage, added up by account, class and day."""

    def __init__(self) -> None:
        self._counted: dict[tuple[UUID, str, date], list[Decimal | int]] = {}
        self._given_back: dict[tuple[UUID, str, date], list[Decimal | int]] = {}

    def add(
        self, uses: Uses, moved: Iterable[tuple[UUID, Decimal]], *, recorded_at: datetime, counted_on: date | None
    ) -> None:
        """Adds one entry's legs on inline accounts. Raises LedgerFault when it gives back and names no day, or the reverse."""
        if uses.gives_back is (counted_on is None):
            raise LedgerFault(
                f"An entry names the day it gives {uses.usage_class.code} back to, if and only if it does."
            )
        day = counted_on or day_of(recorded_at)
        rows = self._given_back if uses.gives_back else self._counted
        sign = 1 if uses.gives_back else -1
        by_account: dict[UUID, Decimal] = {}
        for account, amount in moved:
            if amount * sign > 0:
                by_account[account] = by_account.get(account, Decimal(0)) + abs(amount)
        for account, amount in by_account.items():
            row = rows.setdefault((account, uses.usage_class.code, day), [Decimal(0), 0])
            row[0] += amount
            row[1] += 1

    def statements(self) -> list[tuple[str, list[str]]]:
        """What has to be written, as statements with the columns they take."""
        return [
            (sql, [array(column) for column in zip(*((*key, *row) for key, row in rows.items()), strict=True)])
            for sql, rows in ((COUNT_SQL, self._counted), (GIVE_BACK_SQL, self._given_back))
            if rows
        ]


def statement_of_set(uses: Uses, *, counted_on: str | None) -> str:
    """What a set has to write for its kind; `counted_on`: a query of (item, day), if it gives back. Raises LedgerFault."""
    if uses.gives_back is (counted_on is None):
        raise LedgerFault(f"A set names the days it gives {uses.usage_class.code} back to, if and only if it does.")
    return COUNT_SET_SQL if counted_on is None else GIVE_BACK_SET_SQL.format(days=counted_on)
