"""Sealing: every minute the new entries and postings become blocks of a SHA-256 chain, so that no edit stays unnamed.

step      what it does                                                                 one transaction
take      the advisory lock of sealers, if nobody has it; else there is nothing to do    each block
horizon   every transaction below the snapshot's xmin has ended: none commits late       -
cut       whole transactions, until a block has about ROWS_PER_SEAL rows                 -
seal      PostgreSQL hashes each row and the block; one INSERT                           -

A block covers the transactions [from_tx, to_tx) and begins where the one before ended, so that a row that turns up later in
a sealed range is seen as well as one that has gone. It keeps, for each row in the order of (tx, key), the row's key and 16
bytes of the SHA-256 of all its fields:

    row     = key (16 bytes of a uuid, 8 of the sequence; of an entry 0) || first 16 bytes of SHA-256(text of the row)
    digest  = SHA-256(digest of the seal before || header || rows)
    header  = "form|number|from_tx|to_tx|entries|postings|sealed_at"

The text of a row (`ENTRY_TEXT`, `POSTING_TEXT`) names its table and every field, separated by `|`, which no field can hold but
an entry's kind, and that one comes with its length. Decimals without trailing zeros, instants as microseconds since 1970
in UTC, an absent value as `-`: the same row has one text, whatever a session's settings.

Whoever can rewrite rows can rewrite all seals behind them. So the head leaves the house: a line in the log for each block,
and in the file SEAL_HEADS_FILE. `verify_ledger --head` proves that the chain still runs through a head that was kept.

Bounds: a block holds ROWS_PER_SEAL rows and at most one transaction's more (`post_set`: about 20,000); a run seals at most
SEALS_PER_RUN blocks, and the next one goes on. Verification is in `wallet.seal_checks`.
"""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import connection, transaction

from superapp import clock
from wallet.assurance import Seal

log = structlog.get_logger(__name__)

ROWS_PER_SEAL = 20_000
SEALS_PER_RUN = 100
FORM = 1
"""How rows become text. A new form is a new number, and the old one stays readable as long as a seal has it."""

ROW_BYTES = 40
GENESIS = bytes(32)
_LOCK = 0x5EA1
"""Number of the advisory lock that a sealer holds."""

HEAD = re.compile(r"(?:\d+:)?([0-9a-f]{64})", re.ASCII)
"""A head as it is exported: `number:digest`, or the digest alone."""


def _instant(column: str) -> str:
    return f"CASE WHEN isfinite({column}) THEN ((extract(epoch FROM {column}) * 1000000)::bigint)::text ELSE {column}::text END"


ENTRY_TEXT = f"""
    concat_ws('|', 'entry', e.id, length(e.kind) || ':' || e.kind, e.subject, {_instant("e.effective_at")},
              {_instant("e.recorded_at")}, e.tx, coalesce(e.reverses_id::text, '-'))
"""

POSTING_TEXT = f"""
    concat_ws('|', 'posting', p.account_id, p.sequence, p.entry_id, p.asset_id, trim_scale(p.amount),
              coalesce(trim_scale(p.balance_after)::text, '-'), p.subject, {_instant("p.effective_at")},
              {_instant("p.recorded_at")}, p.tx)
"""

ROWS_SQL = f"""
    SELECT string_agg(r.key || substring(sha256(convert_to(r.text, 'UTF8')) FOR 16), ''
                      ORDER BY r.tx, r.place, r.key) AS rows,
           count(*) FILTER (WHERE r.place = 1) AS entries, count(*) FILTER (WHERE r.place = 2) AS postings
    FROM (
        SELECT e.tx, 1 AS place, uuid_send(e.id) || int8send(0) AS key, {ENTRY_TEXT} AS text
        FROM wallet_journalentry e WHERE e.tx >= %(from_tx)s AND e.tx < %(to_tx)s
        UNION ALL
        SELECT p.tx, 2, uuid_send(p.account_id) || int8send(p.sequence), {POSTING_TEXT}
        FROM wallet_posting p WHERE p.tx >= %(from_tx)s AND p.tx < %(to_tx)s
    ) r
"""
"""Key and digest of every row of a range of transactions, as they stand now."""

# Where blocks end: behind the transaction with which each has its rows.
CUTS_SQL = """
    SELECT max(tx) + 1, sum(rows)
    FROM (
        SELECT tx, count(*) AS rows, div(sum(count(*)) OVER (ORDER BY tx) - count(*), %(size)s) AS block
        FROM (
            SELECT tx FROM (
                SELECT tx FROM wallet_journalentry WHERE tx >= %(from_tx)s AND tx < %(horizon)s
                UNION ALL
                SELECT tx FROM wallet_posting WHERE tx >= %(from_tx)s AND tx < %(horizon)s
            ) every_row ORDER BY tx LIMIT %(most)s
        ) some_rows
        GROUP BY tx
    ) blocks
    GROUP BY block ORDER BY 1
"""

INSERT_SQL = f"""
    WITH block AS MATERIALIZED ({ROWS_SQL})
    INSERT INTO wallet_seal (number, form, from_tx, to_tx, entries, postings, rows, previous, digest, sealed_at)
    SELECT %(number)s, %(form)s, %(from_tx)s, %(to_tx)s, entries, postings, rows, %(previous)s,
           sha256(%(previous)s || convert_to(concat_ws('|', %(form)s::int, %(number)s::bigint, %(from_tx)s::bigint,
                  %(to_tx)s::bigint, entries, postings, %(sealed_at_us)s::bigint), 'UTF8') || rows),
           %(sealed_at)s
    FROM block WHERE rows IS NOT NULL
    RETURNING digest, entries, postings
"""

UNSEALED_SQL = """
    SELECT min(recorded_at) FROM wallet_journalentry
    WHERE tx >= coalesce((SELECT to_tx FROM wallet_seal ORDER BY number DESC LIMIT 1), 0)
"""


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain: whoever keeps it elsewhere can prove later that nothing before it was changed."""

    number: int
    digest: str
    to_tx: int
    sealed_at: datetime | None

    def __str__(self) -> str:
        return f"{self.number}:{self.digest}"


def head() -> Head:
    """The newest seal; number 0 and a digest of zeros while there is none."""
    seal = Seal.objects.order_by("-number").defer("rows").first()
    if seal is None:
        return Head(number=0, digest=GENESIS.hex(), to_tx=0, sealed_at=None)
    return Head(number=seal.number, digest=bytes(seal.digest).hex(), to_tx=seal.to_tx, sealed_at=seal.sealed_at)


def seal() -> int:
    """Seals what was posted by transactions that have ended, and answers how many rows. Safe to run anywhere, any time.

    Each block is a transaction of its own; a sealer that dies leaves whole blocks and nothing else. While another sealer is
    at work it answers 0.
    """
    sealed = 0
    cuts: list[int] | None = None
    while cuts is None or cuts:
        with transaction.atomic():
            if not _alone():
                break
            if cuts is None:
                cuts = _cuts(head().to_tx)
            rows = _seal_block(cuts.pop(0)) if cuts else 0
        sealed += rows
    export(head())
    return sealed


def unsealed_since() -> datetime | None:
    """When the oldest entry was recorded that is in no seal yet; None when every entry is sealed."""
    with connection.cursor() as cursor:
        cursor.execute(UNSEALED_SQL)
        since: datetime | None = cursor.fetchone()[0]
        return since


def export(newest: Head) -> None:
    """Appends the head to SEAL_HEADS_FILE, unless it is the last line there or no file is configured.

    A file that cannot be written is told in the log; the seal stands, and the next run tries again.
    """
    path = settings.SEAL_HEADS_FILE
    if not path or not newest.number:
        return
    try:
        if _last_exported(Path(path)) == newest.digest:
            return
        line = json.dumps({"number": newest.number, "digest": newest.digest, "to_tx": newest.to_tx})
        with Path(path).open("a", encoding="utf-8") as heads:
            heads.write(f"{line}\n")
            heads.flush()
            os.fsync(heads.fileno())
    except OSError as error:
        log.error("seal_head_not_exported", path=str(path), number=newest.number, error=str(error))


def exported(path: str | Path) -> Iterator[str]:
    """The digests in a file of heads, oldest first; none when there is no file yet. Half a line, left by a crash, is none."""
    if Path(path).exists():
        with Path(path).open(encoding="utf-8", errors="replace") as heads:
            for line in heads:
                yield from HEAD.findall(line)


def _last_exported(path: Path) -> str | None:
    if not path.exists():
        return None
    with path.open("rb") as heads:
        heads.seek(max(0, heads.seek(0, os.SEEK_END) - 1024))
        digests: list[str] = HEAD.findall(heads.read().decode("utf-8", errors="replace"))
    return digests[-1] if digests else None


def _alone() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        return bool(cursor.fetchone()[0])


def _cuts(from_tx: int) -> list[int]:
    """Where the next blocks end. Everything below the horizon has ended, so what a later statement reads there is all."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
        horizon = cursor.fetchone()[0]
        most = ROWS_PER_SEAL * SEALS_PER_RUN
        cursor.execute(CUTS_SQL, {"from_tx": from_tx, "horizon": horizon, "size": ROWS_PER_SEAL, "most": most})
        blocks = cursor.fetchall()
    cuts = [row[0] for row in blocks]
    if blocks and sum(row[1] for row in blocks) < most:
        cuts[-1] = horizon  # nothing more can come below it: the gap up to there is sealed as empty
    return cuts


def _seal_block(to_tx: int) -> int:
    before = head()
    if to_tx <= before.to_tx:
        return 0
    sealed_at = clock.now()
    params: dict[str, Any] = {
        "number": before.number + 1,
        "form": FORM,
        "from_tx": before.to_tx,
        "to_tx": to_tx,
        "previous": bytes.fromhex(before.digest),
        "sealed_at": sealed_at,
        "sealed_at_us": microseconds(sealed_at),
    }
    with connection.cursor() as cursor:
        cursor.execute(INSERT_SQL, params)
        row = cursor.fetchone()
    if row is None:
        return 0
    digest, entries, postings = row
    sealed = f"{params['number']}:{bytes(digest).hex()}"
    transaction.on_commit(lambda: log.info("ledger_sealed", head=sealed, to_tx=to_tx, rows=entries + postings))
    return int(entries + postings)


def microseconds(instant: datetime) -> int:
    """Since 1970 in UTC, exactly."""
    since = instant - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
