"""Settlement: credits the recipients of due transfers, in sets; what a recipient cannot take goes back to its sender.

step      one transaction each                                                                cost
claim     up to a batch of due rows, oldest first, FOR UPDATE SKIP LOCKED                      one statement
post      entries, postings, balances and the transfers' new state, by `post_set`              two statements
mark      transfers whose credit was refused go to RETURNING, for the return worker           one statement, if any

Any number of workers run this at once: a row one has claimed is passed over by the others, and a transaction that dies
leaves all of its rows due. Repeating, losing or reordering messages changes nothing but delay: the rows are the queue.
Refused credits go back in a transaction of their own, because its locks (senders) come in another order than these.
"""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import connection, transaction

from payments.flows import TRANSFER_RETURNED, TRANSFER_SETTLED
from payments.models import Transfer
from superapp import clock
from wallet.errors import LedgerFault
from wallet.flows import IN_TRANSIT, EntryKind
from wallet.ledger_sets import post_set

BATCH = 10_000
"""Transfers per transaction; measured: 2,000 and 20,000 were slower."""

RETRY_RETURN_AFTER = timedelta(minutes=10)
"""How long a return rests that was refused in its turn (the sender's wallet is closed too), until it is tried again."""

State = Transfer.State

_CLAIM = """
SELECT count(*), array_agg(id)::text
  FROM (SELECT id FROM payments_transfer
         WHERE state = %(state)s AND due_at <= %(now)s
         ORDER BY due_at, id
         LIMIT %(limit)s
           FOR UPDATE SKIP LOCKED) due
"""

# The ids are named as a list, not joined: a batch is looked up by key, however many transfers there have ever been.
_LEGS = """
SELECT t.id AS item, row_number() OVER (ORDER BY t.due_at, t.id) AS position, t.{credited} AS account_id, t.amount,
       t.id AS subject, s.id AS against
  FROM payments_transfer t
  JOIN (SELECT s.id, a.code FROM wallet_account s JOIN wallet_asset a ON a.id = s.asset_id
         WHERE s.kind = %(in_transit)s AND s.owner_id IS NULL AND s.scope = '' AND s.slot = 0) s ON s.code = t.currency
 WHERE t.id = ANY(%(ids)s::uuid[])
"""

_ACCOUNTS = "SELECT t.{credited} FROM payments_transfer t WHERE t.id = ANY(%(ids)s::uuid[])"

_SENT_ON = """
SELECT t.id AS item, (t.authorised_at AT TIME ZONE %(zone)s)::date AS day
  FROM payments_transfer t WHERE t.id = ANY(%(ids)s::uuid[])
"""

_END = """
UPDATE payments_transfer t
   SET state = %(ended)s, {entry} = p.entry_id, ended_at = %(set_recorded_at)s
  FROM posted p WHERE t.id = p.item AND t.id = ANY(%(ids)s::uuid[])
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
        """How many rows were taken; less than a batch means that nothing more was due."""
        return self.ended + self.refused


def settle_due(*, limit: int = BATCH) -> Settled:
    """One batch of due transfers, credited in one transaction; refused ones are set on their way back."""
    with transaction.atomic(durable=True):
        claimed, ids = _claim(State.AUTHORISED, limit)
        if not claimed:
            return Settled(ended=0, refused=0)
        refused = _credit(
            claimed,
            ids,
            kind=TRANSFER_SETTLED,
            ended=State.SETTLED,
            credited="recipient_account_id",
            entry="settled_entry_id",
        )
        if refused:
            with connection.cursor() as cursor:
                cursor.execute(
                    _REFUSED,
                    {
                        "returning": State.RETURNING,
                        "authorised": State.AUTHORISED,
                        "now": clock.now(),
                        "ids": list(refused),
                        "reasons": list(refused.values()),
                    },
                )
    return Settled(ended=claimed - len(refused), refused=len(refused))


def return_refused(*, limit: int = BATCH) -> Settled:
    """One batch of transfers on their way back, credited to their senders in one transaction.

    One that the sender's wallet cannot take either stays RETURNING and is tried again later; an operator sees it.
    """
    with transaction.atomic(durable=True):
        claimed, ids = _claim(State.RETURNING, limit)
        if not claimed:
            return Settled(ended=0, refused=0)
        refused = _credit(
            claimed,
            ids,
            kind=TRANSFER_RETURNED,
            ended=State.RETURNED,
            credited="sender_account_id",
            entry="returned_entry_id",
            counted_on=_SENT_ON,
        )
        if refused:
            Transfer.objects.filter(id__in=list(refused)).update(due_at=clock.now() + RETRY_RETURN_AFTER)
    return Settled(ended=claimed - len(refused), refused=len(refused))


def settle_everything_due(*, batches: int = 50) -> int:
    """Batch after batch until nothing is due, at most so many; how many transfers came to their end."""
    ended = 0
    for work in (settle_due, return_refused):
        for _ in range(batches):
            done = work()
            ended += done.ended
            if done.worked < BATCH:
                break
    return ended


def _claim(state: State, limit: int) -> tuple[int, str]:
    """How many were claimed, and their ids as the literal of an array: they only go back to the database."""
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, {"state": state, "now": clock.now(), "limit": limit})
        count, ids = cursor.fetchone()
        return count, ids or "{}"


def _credit(
    claimed: int, ids: str, *, kind: EntryKind, ended: State, credited: str, entry: str, counted_on: str | None = None
) -> dict[UUID, str]:
    result = post_set(
        kind=kind,
        legs=_LEGS.format(credited=credited),
        accounts=_ACCOUNTS.format(credited=credited),
        params={"ids": ids, "in_transit": IN_TRANSIT.code, "ended": ended, "zone": clock.business_zone().key},
        paired=True,
        then=[_END.format(entry=entry)],
        counted_on=counted_on,
    )
    if result.posted + len(result.refused) != claimed:
        raise LedgerFault(
            f"Of {claimed} due transfers {result.posted} were credited and {len(result.refused)} refused; the rest names a "
            "currency that has no account in transit."
        )
    return result.refused
