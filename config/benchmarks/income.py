"""`benchmark income`: one day of a fund's income for so many holders, through the real daily run and real Celery workers.

Each round is a day of its own: the sandbox's clock moves to the next midnight, the day's yield is published, a bell rings, and
the seconds run until the day is paid: frozen, counted, the cents handed out, posted in batches, its totals compared.

The limit writes the same rows (a posting and the balance of each holder, an entry for each batch) in plain SQL over as many
connections as there are workers: it neither freezes nor counts, and pays what each balance yields, cut, in one pass. It does so
for the same holders, a second before the day ends, so that both find accounts untouched since the day before.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import psycopg
from django.db import connection

from config.benchmarks import database
from config.benchmarks.clients import Clients, clients
from config.benchmarks.report import Figures, Measured, hot_share, in_turns
from config.benchmarks.workers import Workers, celery_workers
from funds import catalogue, yields
from funds.models import Fund, FundDay
from funds.policies import INCOME_BATCH_ACCOUNTS
from superapp import clock
from superapp.models import User
from wallet.accounts import system_account
from wallet.flows import FUND, FUND_ISSUED
from wallet.models import Account

ROWS = 1_000_000
WORKERS = 2
TASK = "funds.pay_income"
PER_10K = Decimal("1.2345")
AFTER_MIDNIGHT = timedelta(minutes=5)

LIMIT_SQL = """
CREATE FUNCTION benchmark_income(low uuid, high uuid, asset smallint, fund_issued uuid, at timestamptz, per_10k numeric)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    tx bigint := pg_current_xact_id()::text::bigint;
    entry uuid := uuidv7();
BEGIN
    INSERT INTO wallet_journalentry (id, kind, subject, effective_at, recorded_at, tx)
        VALUES (entry, 'fund_income', entry, at, at, tx);
    WITH paid AS (
        UPDATE wallet_account a
        SET balance = a.balance + trunc(a.balance * per_10k / 10000, 2), last_sequence = a.last_sequence + 1,
            last_recorded_at = at
        WHERE a.asset_id = asset AND a.kind = 'fund' AND a.id BETWEEN low AND high
        RETURNING a.id, a.last_sequence, new.balance - old.balance AS amount, a.balance
    )
    INSERT INTO wallet_posting (account_id, sequence, entry_id, asset_id, amount, balance_after, subject, effective_at,
                                recorded_at, tx)
        SELECT id, last_sequence, entry, asset, amount, balance, entry, at, at, tx FROM paid
        UNION ALL
        SELECT fund_issued, nextval('wallet_folded_sequence'), entry, asset, -sum(amount), NULL, entry, at, at, tx
        FROM paid;
END $$
"""

BATCHES_SQL = """
    SELECT (array_agg(id ORDER BY id))[1], (array_agg(id ORDER BY id DESC))[1]
    FROM (
        SELECT id, row_number() OVER (ORDER BY id) - 1 AS place FROM wallet_account WHERE asset_id = %s AND kind = 'fund'
    ) holders
    GROUP BY place / %s ORDER BY place / %s
"""


def measure(*, rows: int = ROWS, workers: int = WORKERS, rounds: int, history: int = 0) -> Figures:
    """Measures so many days of `rows` holders, paid by `workers` processes, after `history` days of plain postings."""
    with database.own_database() as url:
        database.define(LIMIT_SQL)
        fund = _build_world(rows, history=history)
        with (
            clients(workers, environment={"DATABASE_URL": url}) as sessions,
            celery_workers(workers, url=url) as payers,
        ):
            measured = _measure(fund, sessions, payers, count=workers, rows=rows, rounds=rounds, history=history)
        return Figures(
            benchmark="income",
            variants=[measured],
            peak_memory_mb=payers.peak_memory_mb,
            hot_share=hot_share(),
            facts={
                "workers": workers,
                "batch": INCOME_BATCH_ACCOUNTS.now(fund.code).value,
                "days": rounds + 1,
                "history": history,
            },
        )


def call_limit(
    *, batches: list[tuple[UUID, UUID]], asset: int, fund_issued: UUID, at: datetime, per_10k: Decimal
) -> None:
    """In a client: pays its batches, each in a transaction of its own."""
    connection.ensure_connection()
    cursor = psycopg.Cursor(connection.connection)
    for low, high in batches:
        cursor.execute(
            "SELECT benchmark_income(%s, %s, %s::smallint, %s, %s, %s)", (low, high, asset, fund_issued, at, per_10k)
        )


def _measure(
    fund: Fund, sessions: Clients, payers: Workers, *, count: int, rows: int, rounds: int, history: int
) -> Measured:
    asset = catalogue.share_asset(fund)
    with connection.cursor() as cursor:
        size = INCOME_BATCH_ACCOUNTS.now(fund.code).value
        cursor.execute(BATCHES_SQL, [asset.id, size, size])
        batches: list[tuple[UUID, UUID]] = cursor.fetchall()
    fixed = {
        "asset": asset.id,
        "fund_issued": system_account(FUND_ISSUED, asset, scope=fund.code),
        "per_10k": PER_10K,
    }

    def limit() -> float:
        return pay_plainly(clock.start_of(_day_to_pay(fund) + timedelta(days=1)) - timedelta(seconds=1))

    def pay_plainly(at: datetime) -> float:
        return sessions.run(
            f"{__name__}:{call_limit.__name__}",
            [{**fixed, "at": at, "batches": batches[number::count]} for number in range(count)],
        )

    def ours() -> float:
        day = _day_to_pay(fund)
        clock.travel(clock.start_of(day + timedelta(days=1)) + AFTER_MIDNIGHT)
        yields.publish(fund=fund, day=day, per_10k=PER_10K)
        return payers.work_until(lambda: _is_paid(fund, day), task=TASK, times=1)

    for days_ago in range(history, 0, -1):
        pay_plainly(clock.start_of(fund.first_day - timedelta(days=days_ago)) + AFTER_MIDNIGHT)
    database.settle_down("wallet_account")
    for warm_up in (limit, ours):
        warm_up()
    return in_turns(f"{count} worker{'s' if count > 1 else ''}", rows=rows, rounds=rounds, limit=limit, ours=ours)


def _day_to_pay(fund: Fund) -> date:
    last = FundDay.objects.filter(fund=fund, closed_by__isnull=False).order_by("-day").first()
    return last.day + timedelta(days=1) if last else fund.first_day


def _is_paid(fund: Fund, day: date) -> bool:
    return FundDay.objects.filter(fund=fund, day=day, closed_by__isnull=False).exists()


def _build_world(rows: int, *, history: int = 0) -> Fund:
    """A fund whose holders came yesterday, or before its history, with 1,000 to 100,000 shares each."""
    fund = catalogue.found_fund(
        code="BENCHMARK", name="Benchmark", currency="CNY", first_day=clock.today(), terms="None."
    )
    asset = catalogue.share_asset(fund)
    system_account(FUND_ISSUED, asset, scope=fund.code)
    database.fill(
        User(email="", password="!"),  # noqa: S106  nobody signs in here
        each=f"generate_series(1, {rows}) AS n",
        varying={"id": "uuidv7()", "email": "'holder-' || n || '@example.org'"},
    )
    database.fill(
        Account(
            kind=FUND.code,
            asset=asset,
            last_recorded_at=clock.start_of(clock.today()) - timedelta(days=1 + history),
            created_at=clock.now(),
        ),
        each="superapp_user u",
        varying={"id": "uuidv7()", "owner_id": "u.id", "balance": "round((1000 + random() * 99000)::numeric, 2)"},
    )
    database.settle_down()
    return fund
