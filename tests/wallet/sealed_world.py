"""A small ledger that has been sealed, and the hand that changes it with the triggers off."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.waiting import wait_until
from tests.wallet.ledger_world import World, a_ledger
from wallet import sealing

TABLES = ("wallet_posting", "wallet_journalentry", "wallet_account", "wallet_seal")


def seal_all() -> int:
    """Seals until everything is: other transactions of the server may hold the horizon back. Answers how many rows."""
    rows = 0

    def sealed() -> bool:
        nonlocal rows
        rows += sealing.seal()
        return sealing.unsealed_since() is None

    wait_until(sealed, what="everything sealed")
    return rows


def a_sealed_ledger() -> World:
    """Three entries: two wallets funded, and 10.00 sent by the first."""
    world = a_ledger(balances=["100.00", "50.00"])
    world.send(0, "10.00")
    seal_all()
    return world


@contextmanager
def triggers_off(run_as_owner: Callable[..., None]) -> Iterator[None]:
    """As a superuser has it who means harm."""
    for table in TABLES:
        run_as_owner(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    try:
        yield
    finally:
        for table in TABLES:
            run_as_owner(f"ALTER TABLE {table} ENABLE TRIGGER USER")
