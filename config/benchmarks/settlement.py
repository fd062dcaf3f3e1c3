"""`benchmark settlement`: transfers already authorised, credited in sets by real Celery workers, one and two of them.

The clock runs from the bell to the last transfer's end. The limit writes the same rows (entry, two postings, balance, state
of each transfer) in plain SQL, ten thousand to a commit, over as many connections as there are workers. It is told its
batches beforehand, and no two connections share a recipient: it neither looks for what is due, nor locks, nor decides.
"""

from decimal import Decimal
from uuid import UUID

import psycopg
from django.db import connection

from config.benchmarks import database
from config.benchmarks.clients import Clients, clients
from config.benchmarks.report import Figures, Measured, hot_share, in_turns
from config.benchmarks.workers import Workers, celery_workers
from payments.models import Thread, Transfer
from payments.settlement import BATCH
from superapp import clock
from superapp.models import User
from wallet import accounts
from wallet.flows import IN_TRANSIT, WALLET
from wallet.models import Account

ROWS = 50_000
TASK = "payments.settle_due"

LIMIT_SQL = """
CREATE FUNCTION benchmark_settle(low uuid, high uuid, in_transit uuid) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    tx bigint := pg_current_xact_id()::text::bigint;
    at timestamptz := clock_timestamp();
    settled bigint;
BEGIN
    WITH due AS MATERIALIZED (
        SELECT id, recipient_account_id AS account_id, amount, uuidv7() AS entry
        FROM payments_transfer WHERE id BETWEEN low AND high
    ), credited AS (
        UPDATE wallet_account a
        SET balance = a.balance + s.amount, last_sequence = a.last_sequence + s.legs,
            last_recorded_at = greatest(at, a.last_recorded_at)
        FROM (SELECT account_id, sum(amount) AS amount, count(*) AS legs FROM due GROUP BY account_id) s
        WHERE a.id = s.account_id
        RETURNING a.id, a.asset_id, a.balance, a.last_sequence
    ), entries AS (
        INSERT INTO wallet_journalentry (id, kind, subject, effective_at, recorded_at, tx)
        SELECT entry, 'transfer_settled', id, at, at, tx FROM due
    ), postings AS (
        INSERT INTO wallet_posting (account_id, sequence, entry_id, asset_id, amount, balance_after, subject, effective_at,
                                    recorded_at, tx)
        SELECT d.account_id, c.last_sequence + 1 - row_number() OVER later, d.entry, c.asset_id, d.amount,
               c.balance - sum(d.amount) OVER later + d.amount, d.id, at, at, tx
        FROM due d JOIN credited c ON c.id = d.account_id
        WINDOW later AS (PARTITION BY d.account_id ORDER BY d.id DESC ROWS UNBOUNDED PRECEDING)
        UNION ALL
        SELECT in_transit, nextval('wallet_folded_sequence'), d.entry, f.asset_id, -d.amount, NULL, d.id, at, at, tx
        FROM due d JOIN wallet_account f ON f.id = in_transit
    )
    UPDATE payments_transfer t SET state = 'settled', settled_entry_id = d.entry, ended_at = at
    FROM due d WHERE t.id = d.id;
    GET DIAGNOSTICS settled = ROW_COUNT;
    RETURN settled;
END $$
"""

BATCHES_SQL = """
    SELECT (array_agg(id ORDER BY id))[1], (array_agg(id ORDER BY id DESC))[1]
    FROM (
        SELECT id, row_number() OVER (ORDER BY id) - 1 AS place FROM payments_transfer WHERE state = 'authorised'
    ) due
    GROUP BY place / %s ORDER BY place / %s
"""


def measure(*, rows: int = ROWS, workers: int | None = None, rounds: int) -> Figures:
    """Measures one worker and two, or the number asked for; `rows` transfers in each run."""
    counts = [workers] if workers else [1, 2]
    memory = []
    with database.own_database() as url:
        database.define(LIMIT_SQL)
        _build_world(rows)
        variants = []
        for count in counts:
            with (
                clients(count, environment={"DATABASE_URL": url}) as sessions,
                celery_workers(count, url=url) as settlers,
            ):
                variants.append(_measure(sessions, settlers, count=count, rows=rows, rounds=rounds))
            memory.append(settlers.peak_memory_mb)
        return Figures(
            benchmark="settlement",
            variants=variants,
            peak_memory_mb=max(memory),
            hot_share=hot_share(),
            facts={"batch": BATCH},
        )


def call_limit(*, batches: list[tuple[UUID, UUID]], in_transit: UUID) -> None:
    """In a client: settles its batches, each in a transaction of its own."""
    connection.ensure_connection()
    cursor = psycopg.Cursor(connection.connection)
    for low, high in batches:
        cursor.execute("SELECT benchmark_settle(%s, %s, %s)", (low, high, in_transit))


def _measure(sessions: Clients, settlers: Workers, *, count: int, rows: int, rounds: int) -> Measured:
    in_transit = accounts.system_account(IN_TRANSIT, accounts.currency_asset("CNY"))

    def limit() -> float:
        _authorise(rows)
        batches = _batches()
        share = -(-len(batches) // count)
        return sessions.run(
            f"{__name__}:{call_limit.__name__}",
            [
                {"batches": batches[number * share : (number + 1) * share], "in_transit": in_transit}
                for number in range(count)
            ],
        )

    def ours() -> float:
        _authorise(rows)
        return settlers.work_until(_nothing_is_due, task=TASK, times=count)

    for warm_up in (limit, ours):
        warm_up()
    return in_turns(f"{count} worker{'s' if count > 1 else ''}", rows=rows, rounds=rounds, limit=limit, ours=ours)


def _nothing_is_due() -> bool:
    return not Transfer.objects.filter(state=Transfer.State.AUTHORISED).exists()


def _batches() -> list[tuple[UUID, UUID]]:
    with connection.cursor() as cursor:
        cursor.execute(BATCHES_SQL, [BATCH, BATCH])
        batches: list[tuple[UUID, UUID]] = cursor.fetchall()
    return batches


def _build_world(rows: int) -> None:
    """As many people as transfers, each with a wallet; each has a thread with the next one."""
    asset = accounts.currency_asset("CNY")
    accounts.system_account(IN_TRANSIT, asset)
    database.fill(
        User(email="", password="!"),  # noqa: S106  nobody signs in here
        each=f"generate_series(1, {rows + 1}) AS n",
        varying={"id": "uuidv7()", "email": "'person-' || n || '@example.org'"},
    )
    database.fill(
        Account(kind=WALLET.code, asset=asset, created_at=clock.now()),
        each="superapp_user u",
        varying={"id": "uuidv7()", "owner_id": "u.id"},
    )
    database.fill(
        Thread(created_at=clock.now()),
        each="(SELECT id AS low, lead(id) OVER (ORDER BY id) AS high FROM superapp_user) pair WHERE high IS NOT NULL",
        varying={"id": "uuidv7()", "low_id": "low", "high_id": "high"},
    )
    database.settle_down()


def _authorise(rows: int) -> None:
    """Writes transfers that are due, in an order that has nothing to do with their recipients.

    In the order of ids, the first half goes to one half of the people and the second to the other: the limit's
    connections meet nobody of each other's. Within its half a recipient is drawn by chance; some get several.
    """
    database.fill(
        Transfer(amount=Decimal("1.00"), currency="CNY", authorised_at=clock.now()),
        each="""(
            SELECT n, 1 + (n - 1) / half * half + floor(random() * least(half, %(rows)s - (n - 1) / half * half))::int AS place
            FROM generate_series(1, %(rows)s) AS n, (SELECT greatest(1, (%(rows)s + 1) / 2) AS half) h
        ) t
        JOIN (SELECT row_number() OVER (ORDER BY id) AS place, id, low_id, high_id FROM payments_thread) th USING (place)
        JOIN wallet_account sender ON sender.owner_id = th.low_id
        JOIN wallet_account recipient ON recipient.owner_id = th.high_id
        ORDER BY t.n""",
        varying={
            "id": "uuidv7()",
            "thread_id": "th.id",
            "sender_id": "th.low_id",
            "recipient_id": "th.high_id",
            "sender_account_id": "sender.id",
            "recipient_account_id": "recipient.id",
            "sent_entry_id": "uuidv7()",
            "due_at": "now() - random() * interval '1 hour'",
        },
        parameters={"rows": rows},
    )
    database.settle_down("payments_transfer")
