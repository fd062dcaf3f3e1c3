"""What `verify_ledger` asks of seals and freezes.

S1: every sealed row is as it was sealed. Blocks are hashed anew, neighbours of small ones together; where the whole differs,
the rows are told apart by their keys: one that differs, one that is gone, one that was not there.
S2: the chain is whole, and still runs through the heads that were exported.
S3: an account is frozen while it has an open case, and only then.
"""

from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.backends.utils import CursorWrapper

from wallet import sealing
from wallet.verification import LEDGER, Check, check, check_sql, looking_by

SEALED_ROWS = "every sealed entry and posting is as it was sealed"
CHAIN = "each seal is whole and follows the one before"

SOUND_SQL = """
    s.digest = sha256(s.previous || convert_to(concat_ws('|', s.form, s.number, s.from_tx, s.to_tx, s.entries, s.postings,
        (extract(epoch FROM s.sealed_at) * 1000000)::bigint), 'UTF8') || s.rows)
"""

SEALS_SQL = f"""
    SELECT s.number, s.form, s.from_tx, s.to_tx, s.entries + s.postings, {SOUND_SQL}
    FROM wallet_seal s WHERE s.number > %(after)s ORDER BY s.number
"""

SAME_SQL = f"""
    SELECT coalesce(now.rows, ''::bytea) = (
        SELECT string_agg(s.rows, ''::bytea ORDER BY s.number) FROM wallet_seal s
        WHERE s.number BETWEEN %(first)s AND %(last)s)
    FROM ({sealing.ROWS_SQL}) now
"""

BOTH_SQL = f"""
    SELECT (SELECT s.rows FROM wallet_seal s WHERE s.number = %(first)s), coalesce(now.rows, ''::bytea)
    FROM ({sealing.ROWS_SQL}) now
"""

CHAIN_SQL = f"""
    SELECT 'seal ' || number, CASE
        WHEN number <> coalesce(last, %(after)s) + 1 THEN 'the seal before it is missing'
        WHEN NOT sound THEN 'its digest is not that of what it holds'
        WHEN octet_length(rows) <> 40 * (entries + postings) THEN 'it does not hold as many rows as it says'
        ELSE 'it does not begin where the seal before it ended' END
    FROM (
        SELECT s.*, {SOUND_SQL} AS sound, lag(s.number) OVER w AS last, lag(s.to_tx) OVER w AS last_tx,
               lag(s.digest) OVER w AS last_digest
        FROM wallet_seal s WHERE s.number >= %(after)s WINDOW w AS (ORDER BY s.number)
    ) s
    WHERE number > %(after)s AND (
        number <> coalesce(last, %(after)s) + 1 OR NOT sound OR octet_length(rows) <> 40 * (entries + postings)
        OR from_tx <> coalesce(last_tx, 0) OR previous <> coalesce(last_digest, decode(repeat('00', 32), 'hex')))
"""


@check("S1", SEALED_ROWS, area=LEDGER)
def _every_row(cursor: CursorWrapper) -> Iterator[tuple[str, str]]:
    yield from _differences(cursor, after=0)


@check("S2", CHAIN, area=LEDGER)
def _whole_chain(cursor: CursorWrapper) -> Iterator[tuple[str, str]]:
    yield from looking_by(CHAIN_SQL, {"after": 0})(cursor)


check_sql(
    "S3",
    "an account is frozen while it has an open case, and only then",
    """
    SELECT 'account ' || a.id, CASE WHEN a.folded THEN 'it is the system''s, and frozen'
        WHEN a.frozen THEN 'it is frozen and has no open case' ELSE 'it has an open case and is not frozen' END
    FROM wallet_account a LEFT JOIN wallet_accountfreeze f ON f.account_id = a.id AND f.lifted_at IS NULL
    WHERE a.frozen <> (f.id IS NOT NULL) OR (a.frozen AND a.folded)
    """,
    area=LEDGER,
)


def new_seals(after: int) -> tuple[Check, Check]:
    """The checks of rows and chain, for the seals that follow one that has been looked at."""
    return (
        Check(
            "S1",
            "every row sealed since then is as it was sealed",
            LEDGER,
            lambda cursor: _differences(cursor, after=after),
        ),
        Check(
            "S2",
            "each seal since then is whole and follows the one before",
            LEDGER,
            looking_by(CHAIN_SQL, {"after": after}),
        ),
    )


def heads(asked: Iterable[str] = ()) -> Check:
    """A check that the chain runs through these digests, and through every one in SEAL_HEADS_FILE where that is configured.

    The file is read at once, so before the snapshot: what a sealer exports while a verification is at work is not in that.
    """
    kept = [*asked, *(sealing.exported(settings.SEAL_HEADS_FILE) if settings.SEAL_HEADS_FILE else ())]

    def look(cursor: CursorWrapper) -> Iterator[tuple[str, str]]:
        cursor.execute(
            "SELECT k.digest FROM unnest(%s::text[]) WITH ORDINALITY AS k (digest, place) "
            "WHERE NOT EXISTS (SELECT FROM wallet_seal s WHERE s.digest = decode(k.digest, 'hex')) ORDER BY k.place",
            [kept],
        )
        for (digest,) in cursor.fetchall():
            yield (
                f"head {digest}",
                "the chain does not run through this head, which was exported: it has been rewritten",
            )

    return Check("S2", "the chain runs through every head that was exported", LEDGER, look)


def _differences(cursor: CursorWrapper, *, after: int) -> Iterator[tuple[str, str]]:
    """Each row that is not as it was sealed after that seal."""
    cursor.execute(SEALS_SQL, {"after": after})
    together: list[tuple[int, int, int, int, int, bool]] = []
    for seal in cursor.fetchall():
        together.append(seal)
        if sum(each[4] for each in together) >= sealing.ROWS_PER_SEAL:
            yield from _compare(cursor, together)
            together = []
    if together:
        yield from _compare(cursor, together)


def _compare(cursor: CursorWrapper, seals: list[tuple[int, int, int, int, int, bool]]) -> Iterator[tuple[str, str]]:
    """The seals at once; where they differ, one by one."""
    cursor.execute(SAME_SQL, _range(seals))
    if cursor.fetchone()[0] and all(form == sealing.FORM for _, form, *_ in seals):
        return
    for seal in seals:
        number, form, *_, sound = seal
        if form != sealing.FORM:
            yield f"seal {number}", f"it is of a form {form} that nobody knows: its rows cannot be compared"
            continue
        cursor.execute(BOTH_SQL, _range([seal]))
        sealed, now = (_by_key(bytes(rows)) for rows in cursor.fetchone())
        # A seal that was tampered with proves nothing against a row, and nobody is frozen for it.
        prefix = "" if sound else f"by seal {number}, which is not whole: "
        for key in sorted(sealed.keys() | now.keys()):
            if sealed.get(key) != now.get(key):
                yield prefix + _row(key), _fault(number, sealed=len(sealed.get(key, ())), there=len(now.get(key, ())))


def _range(seals: list[tuple[int, int, int, int, int, bool]]) -> dict[str, Any]:
    return {"first": seals[0][0], "last": seals[-1][0], "from_tx": seals[0][2], "to_tx": seals[-1][3]}


def _by_key(rows: bytes) -> dict[bytes, list[bytes]]:
    """The digests under each key: one, unless the table's own key was dropped and a row stands there twice."""
    size = sealing.ROW_BYTES
    found: dict[bytes, list[bytes]] = {}
    for at in range(0, len(rows), size):
        found.setdefault(rows[at : at + 24], []).append(rows[at + 24 : at + size])
    return found


def _row(key: bytes) -> str:
    sequence = int.from_bytes(key[16:], "big", signed=True)
    return f"posting {UUID(bytes=key[:16])}#{sequence}" if sequence else f"entry {UUID(bytes=key[:16])}"


def _fault(number: int, *, sealed: int, there: int) -> str:
    if sealed and there:
        if sealed != there:
            return f"it is there {there} times, and was sealed {sealed} times in seal {number}"
        return f"it is not as it was sealed in seal {number}"
    if sealed:
        return f"it was sealed in seal {number} and is not there any more"
    return f"it was not there when its transaction was sealed in seal {number}"
