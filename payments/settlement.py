"""Settlement: credits the recipients of due transfers, in sets; what a recipient cannot take goes back to its sender.

step      one transaction each                                                                cost
settle    up to a batch of due rows: claimed, credited and ended by `post_credits`             one statement
mark      transfers whose credit was refused go to RETURNING, for the return worker           one statement, if any
return    what goes back, claimed and then credited to its senders by `post_set`               three statements

Any number of workers run this at once: a row one has claimed is passed over by the others (SKIP LOCKED), and a transaction
that dies leaves all of its rows due. Repeating, losing or reordering messages changes nothing but delay: the rows are the
queue.

Recipients are spread over lanes by the last bits of their account's id. A batch takes lane after lane, the one with the oldest
due first, until it is full; a lane that another worker is at is left to that worker, so that no two ever wait for one
recipient. Whoever has settled something looks again, so what became due meanwhile in a lane of theirs is not left lying.
Refused credits go back in a transaction of their own, because its locks (senders) come in another order than these.
"""

from dataclasses import dataclass
from datetime import timedelta

from django.db import connection, transaction

from payments.flows import TRANSFER_RETURNED, TRANSFER_SETTLED
from payments.models import Transfer
from superapp import clock
from wallet.credit_sets import post_credits
from wallet.errors import LedgerFault
from wallet.flows import IN_TRANSIT
from wallet.ledger_sets import post_set

BATCH = 10_000
"""Transfers per transaction; measured: 2,000 and 20,000 were slower."""

RETRY_RETURN_AFTER = timedelta(minutes=10)
"""How long a return rests that was refused in its turn (the sender's wallet is closed too), until it is tried again."""

State = Transfer.State

_LANE = "(get_byte(uuid_send(recipient_account_id), 15) & 15)"
"""Of a transfer, 0 to 15; written as the index `transfer_due_in_lane` has it."""

_ADVISORY_CLASS = 0x4C414E45  # "LANE", the first half of a lane's advisory lock

_OLDEST_OF_EACH_LANE = f"""
SELECT n AS lane, oldest.id, oldest.due_at
  FROM generate_series(0, 15) AS n
 CROSS JOIN LATERAL (
   SELECT id, due_at FROM payments_transfer
    WHERE state = 'authorised' AND {_LANE} = n
    ORDER BY due_at, id LIMIT 1) oldest
"""

OLDEST_IN_LANES = f"SELECT min(due_at) FROM ({_OLDEST_OF_EACH_LANE}) lanes"
"""Since when the first of those that wait has been due."""

# Lanes are tried one by one, as the LIMIT asks for more: whoever needs one lane only leaves the others alone. They keep
# workers apart; that each transfer is credited once is the row lock's and the state's work.
_DUE = f"""
SELECT t.id AS item, t.due_at AS position, t.recipient_account_id AS account_id, t.amount, s.id AS against
  FROM (
    SELECT due.*
      FROM (
        SELECT lane
          FROM (SELECT * FROM ({_OLDEST_OF_EACH_LANE}) lanes WHERE due_at <= %(now)s ORDER BY due_at, id OFFSET 0) oldest_first
         WHERE pg_try_advisory_xact_lock({_ADVISORY_CLASS}, lane)) mine
     CROSS JOIN LATERAL (
       SELECT id, due_at, recipient_account_id, amount, currency FROM payments_transfer
        WHERE state = 'authorised' AND {_LANE} = mine.lane AND due_at <= %(now)s
        ORDER BY due_at, id
        LIMIT %(limit)s
          FOR UPDATE SKIP LOCKED) due
     LIMIT %(limit)s) t
  LEFT JOIN (
    SELECT s.id, a.code FROM wallet_account s JOIN wallet_asset a ON a.id = s.asset_id
     WHERE s.kind = %(in_transit)s AND s.owner_id IS NULL AND s.scope = '' AND s.slot = 0) s ON s.code = t.currency
"""

_SETTLE = """
UPDATE payments_transfer t
   SET state = 'settled', settled_entry_id = p.entry_id, ended_at = p.recorded_at
  FROM posted p
 WHERE t.id = p.item AND t.state = 'authorised'
RETURNING 1
"""

_CLAIM = """
SELECT count(*), array_agg(id)::text
  FROM (SELECT id FROM payments_transfer
         WHERE state = 'returning' AND due_at <= %(now)s
         ORDER BY due_at, id
         LIMIT %(limit)s
           FOR UPDATE SKIP LOCKED) due
"""

# The ids are named as a list, not joined: a batch is looked up by key, however many transfers there have ever been.
_LEGS = """
SELECT t.id AS item, row_number() OVER (ORDER BY t.due_at, t.id) AS position, t.sender_account_id AS account_id, t.amount,
       t.id AS subject, s.id AS against
  FROM payments_transfer t
  JOIN (SELECT s.id, a.code FROM wallet_account s JOIN wallet_asset a ON a.id = s.asset_id
         WHERE s.kind = %(in_transit)s AND s.owner_id IS NULL AND s.scope = '' AND s.slot = 0) s ON s.code = t.currency
 WHERE t.id = ANY(%(ids)s::uuid[])
"""

_ACCOUNTS = "SELECT t.sender_account_id FROM payments_transfer t WHERE t.id = ANY(%(ids)s::uuid[])"

_SENT_ON = """
SELECT t.id AS item, (t.authorised_at AT TIME ZONE %(zone)s)::date AS day
  FROM payments_transfer t WHERE t.id = ANY(%(ids)s::uuid[])
"""

_RETURN = """
UPDATE payments_transfer t
   SET state = 'returned', returned_entry_id = p.entry_id, ended_at = %(set_recorded_at)s
  FROM posted p
 WHERE t.id = p.item AND t.id = ANY(%(ids)s::uuid[]) AND t.state = 'returning'
"""

_REFUSED = """
UPDATE payments_transfer t
   SET state = %(returning)s, return_reason = r.reason, due_at = %(now)s
  FROM unnest(%(ids)s::uuid[], %(reasons)s::text[]) AS r (id, reason)
 WHERE t.id = r.id AND t.state = %(authorised)s
"""


@dataclass(frozen=True, slots=True)
class Settled:
    """What one transaction did. `ended`: transfers moved to their end; `refused`: those the ledger would not credit."""

    ended: int
    refused: int

    @property
    def worked(self) -> int:
        """How many rows were taken; none means that nothing is due but what others are at."""
        return self.ended + self.refused


def settle_due(*, limit: int = BATCH) -> Settled:
    """One batch of due transfers, credited in one transaction; refused ones are set on their way back."""
    with transaction.atomic(durable=True):
        result = post_credits(
            kind=TRANSFER_SETTLED,
            credits=_DUE,
            params={"now": clock.now(), "limit": limit, "in_transit": IN_TRANSIT.code},
            then=[_SETTLE],
        )
        if result.refused:
            with connection.cursor() as cursor:
                cursor.execute(
                    _REFUSED,
                    {
                        "returning": State.RETURNING,
                        "authorised": State.AUTHORISED,
                        "now": clock.now(),
                        "ids": list(result.refused),
                        "reasons": list(result.refused.values()),
                    },
                )
    return Settled(ended=result.posted, refused=len(result.refused))


def return_refused(*, limit: int = BATCH) -> Settled:
    """One batch of transfers on their way back, credited to their senders in one transaction.

    One that the sender's wallet cannot take either stays RETURNING and is tried again later; an operator sees it.
    """
    with transaction.atomic(durable=True):
        claimed, ids = _claim(limit)
        if not claimed:
            return Settled(ended=0, refused=0)
        result = post_set(
            kind=TRANSFER_RETURNED,
            legs=_LEGS,
            accounts=_ACCOUNTS,
            params={"ids": ids, "in_transit": IN_TRANSIT.code, "zone": clock.business_zone().key},
            paired=True,
            then=[_RETURN],
            counted_on=_SENT_ON,
        )
        if result.posted + len(result.refused) != claimed:
            raise LedgerFault(
                f"Of {claimed} transfers {result.posted} went back and {len(result.refused)} were refused; the rest names "
                "a currency that has no account in transit."
            )
        if result.refused:
            Transfer.objects.filter(id__in=list(result.refused)).update(due_at=clock.now() + RETRY_RETURN_AFTER)
    return Settled(ended=result.posted, refused=len(result.refused))


def settle_everything_due(*, batches: int = 50) -> int:
    """Batch after batch until nothing is due, at most so many; how many transfers came to their end."""
    ended = 0
    for work in (settle_due, return_refused):
        for _ in range(batches):
            done = work()
            ended += done.ended
            if not done.worked:
                break
    return ended


def _claim(limit: int) -> tuple[int, str]:
    """How many go back, and their ids as the literal of an array: they only return to the database."""
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, {"now": clock.now(), "limit": limit})
        count, ids = cursor.fetchone()
        return count, ids or "{}"
