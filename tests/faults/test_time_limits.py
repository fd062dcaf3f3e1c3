"""Waits that end: locks, slow statements, no connection left. A typed UNAVAILABLE soon, no effect, and a clean connection.

Over HTTP, so that what a client waits for is measured: one request may wait for several things. Each operation broken at
each of its statements is `tests.faults.test_each_step`.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import uuid4

import psycopg
import pytest

from tests.faults import figures
from tests.faults.conftest import Busy
from tests.faults.rig import MONEY, Rig
from tests.waiting import PATIENCE_SECONDS, wait_until

pytestmark = pytest.mark.processes

PAYER, PAYEE = 20, 21
THEIR_ACCOUNT = "SELECT FROM wallet_account WHERE id = %(account)s FOR NO KEY UPDATE"
THEIR_PIN = "SELECT FROM wallet_paymentpin WHERE user_id = %(person)s FOR UPDATE"
THEIR_KEY = (
    "INSERT INTO superapp_idempotencykey (user_id, operation, key, fingerprint, refusal, answer)"
    " VALUES (%(person)s, 'sendMoney', %(key)s, '', '', '{}')"
)
SESSIONS = "LOCK TABLE django_session IN ACCESS EXCLUSIVE MODE"
SLOW = """
CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(5); RETURN NEW; END $$;
CREATE TRIGGER linger BEFORE INSERT ON payments_transfer FOR EACH ROW EXECUTE FUNCTION linger()
"""


IDLE = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'superapp web' AND state = 'idle in transaction'"


@contextmanager
def _held(rig: Rig, key: str, statements: Sequence[str]) -> Iterator[None]:
    """What the statements lock is locked until the end of the block."""
    payer = rig.world.people[PAYER]
    with psycopg.connect(rig.database.url) as holder:
        for statement in statements:
            holder.execute(statement, {"account": payer.account, "person": payer.id, "key": key})
        yield
        holder.rollback()


@contextmanager
def _slow(rig: Rig) -> Iterator[None]:
    """Writing a transfer takes longer than a statement may."""
    with rig.owner() as owner:
        owner.execute(SLOW)
        yield
        owner.execute("DROP TRIGGER linger ON payments_transfer; DROP FUNCTION linger()")


@contextmanager
def _no_connection_left(rig: Rig) -> Iterator[None]:
    """The web's connections are ended, and no new one is let in."""
    with rig.owner() as owner:
        owner.execute("ALTER DATABASE superapp CONNECTION LIMIT 0")
        owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'superapp web'")
        yield
        owner.execute("ALTER DATABASE superapp CONNECTION LIMIT -1")


def _transfers(rig: Rig) -> int:
    return _count(rig, "SELECT count(*) FROM payments_transfer")


def _count(rig: Rig, statement: str) -> int:
    with rig.owner() as owner:
        found = owner.execute(statement).fetchone()
    assert found is not None
    return int(found[0])


@pytest.mark.parametrize(
    ("what", "locked"),
    [
        ("the payer's account", [THEIR_ACCOUNT]),
        ("the same key, undecided", [THEIR_KEY]),
        ("the payer's PIN", [THEIR_PIN]),
        ("the sessions", [SESSIONS]),
        ("key and account", [THEIR_KEY, THEIR_ACCOUNT]),
    ],
)
def test_a_lock_that_is_not_given_up_is_unavailable_soon(rig: Rig, busy: Busy, what: str, locked: list[str]) -> None:
    key, before = f"limit-{uuid4()}", _transfers(rig)
    with busy(0) as clients:
        request = clients.by_hand(key, by=PAYER, to=PAYEE, amount="0.01")
        with _held(rig, key, locked):
            began = time.monotonic()
            told = request.send()
            waited = time.monotonic() - began
            assert _transfers(rig) == before
        figures.note(f"locked: {what}: UNAVAILABLE after", waited, "s")
        assert request.send_until()[0] == "done"

    assert told == ("unknown", "UNAVAILABLE"), "and not that nobody answered while the client was ready to wait"
    assert _transfers(rig) == before + 1


@pytest.mark.parametrize("hindrance", [_slow, _no_connection_left])
def test_a_slow_statement_or_no_connection_is_unavailable_soon(rig: Rig, busy: Busy, hindrance: object) -> None:
    key, before = f"limit-{uuid4()}", _transfers(rig)
    with busy(0) as clients:
        request = clients.by_hand(key, by=PAYER, to=PAYEE, amount="0.01")
        with hindrance(rig):  # type: ignore[operator]
            began = time.monotonic()
            told = request.send()
            waited = time.monotonic() - began
        figures.note(f"{hindrance.__name__.strip('_')}: UNAVAILABLE after", waited, "s")  # type: ignore[attr-defined]
        assert _transfers(rig) == before
        assert request.send_until()[0] == "done"

    assert told == ("unknown", "UNAVAILABLE"), "and not that nobody answered while the client was ready to wait"


def test_a_session_that_idles_in_its_transaction_is_ended_with_all_it_held(rig: Rig, busy: Busy) -> None:
    """The web stops in the middle of a payment, as a process does that is not let run: the database does not wait for it."""
    key, before = f"limit-{uuid4()}", _transfers(rig)
    with busy(0) as clients, ThreadPoolExecutor(1) as client:
        request = clients.by_hand(key, by=PAYER, to=PAYEE, amount="0.01")
        rig.proxy.stall_inside(words=MONEY)
        told = client.submit(request.send)
        wait_until(lambda: _count(rig, IDLE) == 1, what="a session that idles in its transaction")
        with figures.timed("idle in a transaction: ended after"):
            wait_until(lambda: _count(rig, IDLE) == 0, what="the end of the idle session")
        assert _transfers(rig) == before
        rig.proxy.heal()
        assert told.result(PATIENCE_SECONDS)[0] == "unknown"
        assert request.send_until()[0] == "done"

    assert _transfers(rig) == before + 1
