"""`benchmark ledger`: one transfer at a time through `wallet.ledger.post`, many connections at once.

Each payment is a transaction: a random wallet out of ten thousand pays a hundredth into a folded account of the system. It is
measured twice: spread over 256 such accounts, and everyone into the same one, as when everyone pays one merchant.

The limit does the same in one SQL function, called once per payment by the same processes over the same connections: one
round trip, no rule but the balance, the same rows, indexes, constraints and triggers.
"""

import random
from decimal import Decimal
from functools import cache
from uuid import UUID

import psycopg
from django.db import connection, transaction

from config.benchmarks import database
from config.benchmarks.clients import Clients, clients
from config.benchmarks.report import Figures, Measured, hot_share, in_turns
from payments.flows import TRANSFER_SENT
from superapp import clock
from superapp.ids import uuid7
from wallet import accounts, ledger
from wallet.flows import IN_TRANSIT, WALLET
from wallet.ledger import Leg, Plan
from wallet.models import Account

ROWS = 4_000
WORKERS = 8
WALLETS = 10_000
PAYEES = 256
AMOUNT = Decimal("0.01")

LIMIT_SQL = """
CREATE FUNCTION benchmark_pay(payer uuid, payee uuid, amount numeric, kind text, subject uuid) RETURNS uuid
LANGUAGE plpgsql AS $$
DECLARE
    entry uuid := uuidv7();
    tx bigint := pg_current_xact_id()::text::bigint;
    paid record;
BEGIN
    UPDATE wallet_account a
        SET balance = a.balance - benchmark_pay.amount, last_sequence = a.last_sequence + 1,
            last_recorded_at = greatest(clock_timestamp(), a.last_recorded_at)
        WHERE a.id = payer AND NOT a.closed AND a.balance - a.held + a.credit_limit >= benchmark_pay.amount
        RETURNING a.asset_id, a.balance, a.last_sequence, a.last_recorded_at AS at INTO paid;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'insufficient funds';
    END IF;
    INSERT INTO wallet_journalentry (id, kind, subject, effective_at, recorded_at, tx)
        VALUES (entry, kind, subject, paid.at, paid.at, tx);
    INSERT INTO wallet_posting (account_id, sequence, entry_id, asset_id, amount, balance_after, subject, effective_at,
                                recorded_at, tx)
        VALUES (payer, paid.last_sequence, entry, paid.asset_id, -amount, paid.balance, subject, paid.at, paid.at, tx),
               (payee, nextval('wallet_folded_sequence'), entry, paid.asset_id, amount, NULL, subject, paid.at, paid.at,
                tx);
    INSERT INTO wallet_usage AS u (account_id, usage_class, day, amount, count)
        VALUES (payer, 'transfer', (paid.at AT TIME ZONE 'Asia/Shanghai')::date, amount, 1)
        ON CONFLICT (account_id, usage_class, day)
        DO UPDATE SET amount = u.amount + excluded.amount, count = u.count + 1;
    RETURN entry;
END $$
"""

LIMIT_CALL = "SELECT benchmark_pay(%s, %s, %s, %s, %s)"


def measure(*, rows: int = ROWS, workers: int = WORKERS, rounds: int) -> Figures:
    """Measures both variants; `rows` payments a round, shared by `workers` processes."""
    with database.own_database() as url:
        database.define(LIMIT_SQL)
        _build_world()
        with clients(workers, environment={"DATABASE_URL": url}) as payers:
            one, spread = "everyone pays one", "spread out"
            measured = {
                name: _measure(payers, name, workers=workers, rows=rows, rounds=rounds, payees=payees)
                for name, payees in ((spread, PAYEES), (one, 1))
            }
            memory = payers.peak_memory_mb()
        return Figures(
            benchmark="ledger",
            variants=[measured[spread], measured[one]],
            peak_memory_mb=memory,
            hot_share=hot_share(),
            facts={
                "workers": workers,
                "one_to_spread": round(measured[one].rate / measured[spread].rate, 3),
            },
        )


def post_payments(*, rows: int, payees: int) -> None:
    """In a client: payments through the ledger's first door."""
    wallets, pots = _wallets(), _pots()[:payees]
    for _ in range(rows):
        with transaction.atomic():
            ledger.post(
                Plan(
                    kind=TRANSFER_SENT,
                    subject=uuid7(),
                    legs=[Leg(random.choice(wallets), -AMOUNT), Leg(random.choice(pots), AMOUNT)],  # noqa: S311
                )
            )


def call_limit(*, rows: int, payees: int) -> None:
    """In a client: the same payments through the one SQL function, over the same connection."""
    wallets, pots = _wallets(), _pots()[:payees]
    connection.ensure_connection()
    cursor = psycopg.Cursor(connection.connection)
    for _ in range(rows):
        cursor.execute(
            LIMIT_CALL,
            (random.choice(wallets), random.choice(pots), AMOUNT, TRANSFER_SENT.code, uuid7()),  # noqa: S311
            prepare=True,
        )


def _measure(payers: Clients, name: str, *, workers: int, rows: int, rounds: int, payees: int) -> Measured:
    each = max(1, rows // workers)
    arguments = [{"rows": each, "payees": payees}] * workers
    # A process looks each of the system's accounts up once: nearly all of that belongs to its first minutes, not to a payment.
    warm_up = [{"rows": min(4 * payees + 10, 2 * each), "payees": payees}] * workers
    for function in (call_limit, post_payments):
        payers.run(f"{__name__}:{function.__name__}", warm_up)
    return in_turns(
        name,
        rows=each * workers,
        rounds=rounds,
        limit=lambda: payers.run(f"{__name__}:{call_limit.__name__}", arguments),
        ours=lambda: payers.run(f"{__name__}:{post_payments.__name__}", arguments),
    )


def _build_world() -> None:
    asset = accounts.currency_asset("CNY")
    wallet = Account(kind=WALLET.code, asset=asset, balance=Decimal(10_000), created_at=clock.now())
    database.fill(wallet, each=f"generate_series(1, {WALLETS}) AS n", varying={"id": "uuidv7()", "scope": "n::text"})
    with transaction.atomic():
        for number in range(PAYEES):
            accounts.system_account(IN_TRANSIT, asset, scope=str(number))
    database.settle_down()


@cache
def _wallets() -> list[UUID]:
    return list(Account.objects.filter(kind=WALLET.code).values_list("id", flat=True))


@cache
def _pots() -> list[UUID]:
    return list(Account.objects.filter(kind=IN_TRANSIT.code).order_by("id").values_list("id", flat=True))
