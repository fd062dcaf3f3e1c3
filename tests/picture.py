"""The rows of products and ledger as they stand, to show what a call changed, or that it changed nothing."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

MONEY_TABLES = (
    "wallet_account",
    "wallet_journalentry",
    "wallet_posting",
    "wallet_hold",
    "wallet_usage",
    "wallet_capacity",
    "wallet_reversalrequest",
    "wallet_topup",
    "wallet_bankcallback",
    "payments_thread",
    "payments_transfer",
    "superapp_outboxevent",
)
"""Every table in which a money request leaves a trace; not the keys, which remember refusals on purpose."""


def picture(*tables: str) -> dict[str, list[str]]:
    """Every row of the tables as text, by default of all that hold money or tell of it."""
    rows: dict[str, list[str]] = {}
    with connection.cursor() as cursor:
        for table in tables or MONEY_TABLES:
            cursor.execute(f"SELECT t::text FROM {table} t ORDER BY 1")
            rows[table] = [row[0] for row in cursor.fetchall()]
    return rows


@contextmanager
def nothing_changes() -> Iterator[None]:
    """Asserts that the block leaves every row as it was (I13)."""
    before = picture()
    yield
    assert picture() == before


def assert_ledger_is_sound() -> None:
    """Asserts that `verify_ledger` finds nothing."""
    from wallet.verification import verify

    findings = [finding for found in verify().values() for finding in found]
    assert findings == []
