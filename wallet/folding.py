"""Folding: the balance of a folded account is its checkpoint plus the postings since.

`fold` moves the checkpoint of all folded accounts at once, to the snapshot's xmin: below it every transaction has ended, so
a posting that commits late is never passed over. Nobody waits for it but another fold. It also moves along until when all that
was recorded is known (`wallet.balances`).
"""

from django.db import connection, transaction

from superapp import clock
from wallet.balances import CLOCKS_AGREE_WITHIN

FOLD_SQL = """
    WITH horizon AS MATERIALIZED (
        SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS tx, pg_current_xact_id()::text::bigint + 1 AS next_tx
    ),
    since AS MATERIALIZED (
        SELECT p.account_id, sum(p.amount) AS amount
        FROM wallet_posting p
        WHERE p.tx >= %(from_tx)s AND p.tx < (SELECT tx FROM horizon)
          AND p.account_id IN (SELECT id FROM wallet_account WHERE folded)
        GROUP BY p.account_id
    ), accounts AS (
        UPDATE wallet_account a SET balance = a.balance + s.amount FROM since s WHERE a.id = s.account_id RETURNING 1
    )
    UPDATE wallet_foldcheckpoint c
    SET tx = greatest(c.tx, h.tx), folded_at = %(now)s,
        known_until = CASE WHEN c.awaited_tx <= h.tx THEN greatest(c.known_until, c.awaited_at) ELSE c.known_until END,
        awaited_tx = CASE WHEN c.awaited_tx > h.tx THEN c.awaited_tx ELSE h.next_tx END,
        awaited_at = CASE WHEN c.awaited_tx > h.tx THEN c.awaited_at ELSE %(just_now)s END
    FROM horizon h WHERE c.id = 1
    RETURNING (SELECT count(*) FROM accounts)
"""


def fold() -> int:
    """Folds what has been posted since the last time; answers how many accounts changed. Safe to run anywhere, any time."""
    # Before this transaction gets its number: who gets a later one records later than this.
    now = clock.now()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT tx FROM wallet_foldcheckpoint WHERE id = 1 FOR NO KEY UPDATE")
        (from_tx,) = cursor.fetchone()
        # The lock may have been waited for: this second statement's snapshot is newer than any fold before.
        cursor.execute(FOLD_SQL, {"from_tx": from_tx, "now": now, "just_now": now - CLOCKS_AGREE_WITHIN})
        (changed,) = cursor.fetchone()
        return int(changed)
