"""Threads: what two people have between them. A pair has one thread, whoever began it; only the two see it."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet

from payments.models import Thread, Transfer
from superapp import clock
from superapp.ids import uuid7

_GET_OR_OPEN = """
WITH found AS (
    SELECT id FROM payments_thread WHERE low_id = %(low)s AND high_id = %(high)s
), opened AS (
    INSERT INTO payments_thread (id, low_id, high_id, created_at)
    SELECT %(id)s, %(low)s, %(high)s, %(now)s WHERE NOT EXISTS (SELECT FROM found)
    ON CONFLICT (low_id, high_id) DO NOTHING
    RETURNING id
)
SELECT id FROM found UNION ALL SELECT id FROM opened
"""

_PAGES = """
SELECT t.id FROM unnest(%(threads)s::uuid[]) AS w (thread_id)
 CROSS JOIN LATERAL (
    SELECT id FROM payments_transfer p
     WHERE p.thread_id = w.thread_id
       AND (%(older_than)s::uuid IS NULL OR p.id < %(older_than)s)
       AND (%(newer_than)s::uuid IS NULL OR p.id > %(newer_than)s)
     ORDER BY p.id {way} LIMIT %(limit)s) t
"""


def open_thread(one: UUID, other: UUID) -> UUID:
    """The id of the pair's thread, opened now if there is none; of several that open it at once one does."""
    low, high = sorted((one, other))
    with connection.cursor() as cursor:
        cursor.execute(_GET_OR_OPEN, {"id": uuid7(), "low": low, "high": high, "now": clock.now()})
        row = cursor.fetchone()
        if row is None:  # another transaction opened it after this statement began: a new statement sees its row
            cursor.execute("SELECT id FROM payments_thread WHERE low_id = %s AND high_id = %s", [low, high])
            row = cursor.fetchone()
    return UUID(str(row[0]))


def threads_of(person_id: UUID) -> QuerySet[Thread]:
    """The threads the person is in."""
    return Thread.objects.filter(Q(low=person_id) | Q(high=person_id))


def transfers_in(
    thread_ids: Sequence[UUID],
    *,
    limit: int,
    after: UUID | None = None,
    before: UUID | None = None,
    from_oldest: bool = False,
) -> Mapping[UUID, list[Transfer]]:
    """For each thread what the two have sent each other, at most `limit`, with sender and recipient; newest first.

    `after` leaves only what is older than that transfer, `before` what is newer; `from_oldest` reads from the other end, in
    the other order. Two queries however many the threads are, each thread one scan of its index as long as its page.
    """
    found: dict[UUID, list[Transfer]] = {thread_id: [] for thread_id in thread_ids}
    if not thread_ids:
        return found
    sql = _PAGES.format(way="ASC" if from_oldest else "DESC")
    with connection.cursor() as cursor:
        cursor.execute(sql, {"threads": list(thread_ids), "older_than": after, "newer_than": before, "limit": limit})
        ids = [row[0] for row in cursor.fetchall()]
    rows = Transfer.objects.filter(id__in=ids).select_related("sender", "recipient")
    for row in rows.order_by("id" if from_oldest else "-id"):
        found[row.thread_id].append(row)
    return found


def transfers_seen_by(person_id: UUID, ids: Sequence[UUID]) -> QuerySet[Transfer]:
    """Of these transfers, those the person sent or receives; another person's are as if absent (X07)."""
    return Transfer.objects.filter(id__in=ids).filter(Q(sender=person_id) | Q(recipient=person_id))


def other_in(thread: Thread, person_id: UUID) -> UUID:
    """The one of the two who is not `person_id`."""
    return thread.high_id if thread.low_id == person_id else thread.low_id


def known_among(person_id: UUID, ids: Sequence[UUID]) -> set[UUID]:
    """Of these people, the person themselves and those they have a thread with."""
    pairs = threads_of(person_id).filter(Q(low__in=ids) | Q(high__in=ids)).values_list("low_id", "high_id")
    return {one for pair in pairs for one in pair if one in ids} | ({person_id} & set(ids))
