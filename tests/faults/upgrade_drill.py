"""The drill of an upgrade: a database is taken back to the oldest migrations, then to the newest beneath sessions that pay.

    newest, with data ── back ──> oldest ── forward, payers at work ──> before payments.0002 ── stop ──> payments.0002
                                                              newest <── forward, payers at work ──┘

The payers send what `sendMoney` and the settlement of that release wrote (transfer, two entries, four postings, two balances,
an event; from payments.0002 on usage too), as the site's role with the limits of a web session. Measured is how long one waits
from asking to done, the refusals on the way included. `payments.0002` counts what was sent before usage was kept; what a
release without usage sends after it would be missing, so the payers stop for it: that stop is measured too.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import django
import psycopg
from django.core.management import CommandError

from config.settings.database import SESSION_LIMITS, SITE_ROLE
from tests.waiting import wait_until

OLDEST = (("wallet", "0002"), ("funds", "0001"), ("superapp", "0001"))
"""In this order: payments goes with wallet, on whose usage it leans."""

BEFORE_THE_STOP, THE_STOP = ("wallet", "0007"), ("payments", "0002")
STOP = f"the stop for {'.'.join(THE_STOP)}"
TRIES = 60
FILL_AT_ONCE = 2_000

Manage = Callable[..., object]
"""Runs a management command; raises when it fails."""

PAY = """
CREATE OR REPLACE FUNCTION drill_pay(from_account uuid, to_account uuid, amount numeric, counted boolean) RETURNS uuid
LANGUAGE plpgsql AS $$
DECLARE
    transfer uuid := uuidv7(); sent uuid := uuidv7(); settled uuid := uuidv7();
    this_tx bigint := pg_current_xact_id()::text::bigint;
    payer record; payee record; transit uuid; between_them uuid; at timestamptz;
BEGIN
    PERFORM FROM wallet_account WHERE id IN (from_account, to_account) ORDER BY id FOR NO KEY UPDATE;
    SELECT owner_id, asset_id, balance, last_sequence, last_recorded_at INTO payer FROM wallet_account WHERE id = from_account;
    SELECT owner_id, asset_id, balance, last_sequence, last_recorded_at INTO payee FROM wallet_account WHERE id = to_account;
    SELECT id INTO transit FROM wallet_account
        WHERE kind = 'in_transit' AND asset_id = payer.asset_id AND owner_id IS NULL ORDER BY id LIMIT 1;
    at := greatest(clock_timestamp(), payer.last_recorded_at, payee.last_recorded_at);
    INSERT INTO payments_thread (id, low_id, high_id, created_at)
        VALUES (uuidv7(), least(payer.owner_id, payee.owner_id), greatest(payer.owner_id, payee.owner_id), at)
        ON CONFLICT (low_id, high_id) DO NOTHING;
    SELECT id INTO between_them FROM payments_thread
        WHERE low_id = least(payer.owner_id, payee.owner_id) AND high_id = greatest(payer.owner_id, payee.owner_id);
    INSERT INTO payments_transfer (id, thread_id, sender_id, recipient_id, sender_account_id, recipient_account_id, amount,
                                   currency, note, state, return_reason, authorised_at, due_at, sent_entry_id)
        VALUES (transfer, between_them, payer.owner_id, payee.owner_id, from_account, to_account, amount, 'CNY', '',
                'authorised', '', at, at, sent);
    INSERT INTO wallet_journalentry (id, kind, subject, effective_at, recorded_at, tx)
        VALUES (sent, 'transfer_sent', transfer, at, at, this_tx), (settled, 'transfer_settled', transfer, at, at, this_tx);
    INSERT INTO wallet_posting (account_id, sequence, entry_id, asset_id, amount, balance_after, subject, effective_at,
                                recorded_at, tx)
        VALUES (from_account, payer.last_sequence + 1, sent, payer.asset_id, -amount, payer.balance - amount, transfer, at, at,
                this_tx),
               (transit, nextval('wallet_folded_sequence'), sent, payer.asset_id, amount, NULL, transfer, at, at, this_tx),
               (transit, nextval('wallet_folded_sequence'), settled, payer.asset_id, -amount, NULL, transfer, at, at, this_tx),
               (to_account, payee.last_sequence + 1, settled, payer.asset_id, amount, payee.balance + amount, transfer, at, at,
                this_tx);
    UPDATE wallet_account SET balance = balance - amount, last_sequence = last_sequence + 1, last_recorded_at = at
        WHERE id = from_account;
    UPDATE wallet_account SET balance = balance + amount, last_sequence = last_sequence + 1, last_recorded_at = at
        WHERE id = to_account;
    IF counted THEN
        INSERT INTO wallet_usage AS u (account_id, usage_class, day, amount, count)
            VALUES (from_account, 'transfer', (at AT TIME ZONE 'Asia/Shanghai')::date, amount, 1)
            ON CONFLICT (account_id, usage_class, day)
            DO UPDATE SET amount = u.amount + excluded.amount, count = u.count + 1;
    END IF;
    UPDATE payments_transfer SET state = 'settled', settled_entry_id = settled, ended_at = at WHERE id = transfer;
    INSERT INTO superapp_outboxevent (id, topic, payload, available_at, attempts, last_error, delivered_at)
        VALUES (uuidv7(), 'drill', '{}', at, 0, '', at);
    RETURN transfer;
END $$
"""

WALLETS = """
SELECT a.id::text FROM wallet_account a JOIN wallet_asset s ON s.id = a.asset_id
WHERE a.kind = 'wallet' AND s.code = 'CNY' ORDER BY a.id
"""
FILL = """
SELECT count(drill_pay(ids[1 + n %% size], ids[1 + (n + 1 + n / size %% (size - 1)) %% size], 0.01, true))
FROM generate_series(%s::int, %s::int) AS n, (SELECT ids, cardinality(ids) AS size FROM (SELECT %s::uuid[] AS ids) i) w
"""


@dataclass
class Upgraded:
    """What the upgrade came to."""

    transfers: int = 0
    """In the database before it began."""

    paid: dict[str, list[float]] = field(default_factory=dict)
    """How long each payment took, in seconds, by phase."""

    refused: dict[str, int] = field(default_factory=dict)
    tries: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)

    @property
    def longest_stall(self) -> float:
        """Seconds; over all phases in which somebody was to be served."""
        return max(took for found in self.paid.values() for took in found)


class Payers:
    """Sessions that pay without a pause, each in a thread of its own."""

    def __init__(self, url: str, wallets: list[str], *, count: int, counted: bool) -> None:
        self.url, self.wallets, self.count, self.counted = url, wallets, count, counted
        self.stopping = threading.Event()
        self.pool = ThreadPoolExecutor(max_workers=count)
        self.running: list[Future[None]] = []
        self.took: list[float] = []
        self.ids: list[str] = []
        self.refused = 0

    def start(self) -> None:
        """All begin."""
        self.running = [self.pool.submit(self._pay_on, number) for number in range(self.count)]

    def more(self, payments: int) -> None:
        """Waits for so many more."""
        target = len(self.ids) + payments
        wait_until(lambda: len(self.ids) >= target or any(one.done() for one in self.running), 60, what="more payments")

    def stop(self) -> None:
        """All end what they are at. Raises what one of them met."""
        self.stopping.set()
        for each in self.running:
            each.result()
        self.pool.shutdown()

    def _pay_on(self, number: int) -> None:
        chance = random.Random(number)
        limits = {name: value for name, value in SESSION_LIMITS["web"].items() if name != "connect_timeout"}
        options = " ".join(f"-c {name}={value}" for name, value in limits.items())
        with psycopg.connect(self.url, autocommit=True, options=options) as session:
            session.execute(f"SET ROLE {SITE_ROLE}")
            while not self.stopping.is_set():
                self._pay(session, chance.sample(self.wallets, 2))

    def _pay(self, session: "psycopg.Connection[Any]", pair: list[str]) -> None:
        began = time.monotonic()
        while True:
            try:
                [(transfer,)] = session.execute("SELECT drill_pay(%s, %s, 0.01, %s)::text", [*pair, self.counted])
            except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled):
                self.refused += 1
                continue
            self.took.append(time.monotonic() - began)
            self.ids.append(transfer)
            return


def open_transit() -> None:
    """What is on its way has its account, which the payers do not make; in the database of the settings."""
    from django.db import transaction

    from wallet import accounts
    from wallet.flows import IN_TRANSIT

    with transaction.atomic():
        accounts.system_account(IN_TRANSIT, accounts.currency_asset("CNY"))


def prepare(url: str, *, transfers: int) -> None:
    """At the newest migrations, with wallets: the payers' function, and so many transfers, a hundredth each."""
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(PAY)
        ids = [row[0] for row in owner.execute(WALLETS)]
        for first in range(0, transfers, FILL_AT_ONCE):
            owner.execute(FILL, [first, min(first + FILL_AT_ONCE, transfers) - 1, ids])
        owner.execute("ANALYZE")


def upgrade(url: str, manage: Manage, *, payers: int, payments: int, held_seconds: float = 0) -> Upgraded:
    """Back to the oldest, then forward; so many payments at least before and after each way forward.

    `held_seconds`: for so long somebody's transaction, which has read and written, stays open at the beginning of each.
    """
    done = Upgraded()
    with psycopg.connect(url, autocommit=True) as owner:
        wallets = [row[0] for row in owner.execute(WALLETS)]
        [(done.transfers,)] = owner.execute("SELECT count(*) FROM payments_transfer")
    with _timed(done, "back to the oldest"):
        for app, name in OLDEST:
            manage("migrate", app, name, "--verbosity", "0")
    forward = _Forward(url, manage, wallets, payers=payers, payments=payments, held_seconds=held_seconds, done=done)
    forward.go("from the oldest", BEFORE_THE_STOP, counted=False)
    with _timed(done, STOP):
        manage("migrate", *THE_STOP, "--verbosity", "0")
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(f"GRANT UPDATE ON wallet_usage TO {SITE_ROLE}")  # as the releases of then found every new table
    forward.go("to the newest", (), counted=True)
    return done


@dataclass(frozen=True)
class _Forward:
    """One way forward after the other, with the same people paying."""

    url: str
    manage: Manage
    wallets: list[str]
    payers: int
    payments: int
    held_seconds: float
    done: Upgraded

    def go(self, phase: str, target: tuple[str, ...], *, counted: bool) -> None:
        """Migrates with payers at work, again and again while a lock is not to be had."""
        at_work = Payers(self.url, self.wallets, count=self.payers, counted=counted)
        at_work.start()
        try:
            at_work.more(self.payments)
            with _timed(self.done, phase), _somebody_holds(self.url, self.held_seconds):
                self.done.tries[phase] = self._migrate(target)
            at_work.more(self.payments)
        finally:
            at_work.stop()
        self.done.paid[phase], self.done.refused[phase] = at_work.took, at_work.refused
        self.done.ids.update(at_work.ids)

    def _migrate(self, target: tuple[str, ...]) -> int:
        """How many tries it took. Raises what the last one said."""
        for number in range(1, TRIES + 1):
            try:
                self.manage("migrate", *target, "--verbosity", "0")
            except (CommandError, AssertionError) as fault:
                if "run migrate again" not in str(fault) or number == TRIES:
                    raise
            else:
                return number
        return TRIES


@contextmanager
def _somebody_holds(url: str, seconds: float) -> Iterator[None]:
    """A transaction that has read the tables and written to one stays open for so long."""
    if not seconds:
        yield
        return
    somebody = psycopg.connect(url)
    somebody.execute("SELECT count(*) FROM wallet_account, (SELECT 1 FROM payments_transfer LIMIT 1) t")
    somebody.execute("INSERT INTO wallet_asset SELECT * FROM wallet_asset WHERE false")
    timer = threading.Timer(seconds, somebody.close)
    timer.start()
    try:
        yield
    finally:
        timer.join()


@contextmanager
def _timed(done: Upgraded, name: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    done.seconds[name] = time.monotonic() - began


def faults_of(url: str, done: Upgraded) -> list[str]:
    """Payments that were acknowledged and are not there, or there and not acknowledged; and what came of the totals."""
    with psycopg.connect(url, autocommit=True) as owner:
        found = owner.execute("SELECT id::text FROM payments_transfer WHERE amount = 0.01 AND state = 'settled'")
        there = {row[0] for row in found}
        [(count,)] = owner.execute("SELECT count(*) FROM payments_transfer")
    faults = [f"payment {one} was acknowledged and is not there" for one in done.ids - there]
    if count != done.transfers + len(done.ids):
        faults.append(f"{count} transfers instead of {done.transfers} + {len(done.ids)}")
    return faults


if __name__ == "__main__":
    django.setup()
    open_transit()
