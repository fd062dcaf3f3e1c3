"""Threads: what two people have between them. A pair has one thread, whoever began it; only the two see it."""

from collections.abc import Sequence
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


def transfers_in(thread: Thread) -> QuerySet[Transfer]:
    """What the two have sent each other, in either direction."""
    return Transfer.objects.filter(thread=thread)


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
