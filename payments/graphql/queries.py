"""The viewer's threads, and transfers by id."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import strawberry

from payments import models, threads
from payments.graphql.types import Thread, transfers_seen_by
from superapp.graphql.people import people_by_id
from superapp.graphql.queries import ViewerFields
from superapp.graphql.relay import (
    After,
    Before,
    Connection,
    Cursors,
    First,
    Last,
    from_queryset,
    node_type,
    page_of,
)
from superapp.models import User

THREAD_CURSORS = Cursors(name="threads", types=(UUID,))


@strawberry.type
class PaymentsFields(ViewerFields):
    """What the viewer has with others."""

    @strawberry.field(description="The viewer's threads with other people, the newest acquaintance first.")
    def threads(
        self, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Thread]:
        page = page_of(THREAD_CURSORS, first=first, after=after, last=last, before=before)
        rows = threads.threads_of(self.person.pk).select_related("low", "high")
        together: list[UUID] = []

        def node(row: models.Thread) -> Thread:
            together.append(row.id)
            return Thread.of(row, self.person.pk, together)

        return from_queryset(page, rows, order=["-id"], node=node)


@node_type("Transfer")
def transfers_by_id(viewer: User | None, ids: Sequence[UUID]) -> Mapping[UUID, Any]:
    """Of these transfers, those the viewer sent or receives."""
    return transfers_seen_by(viewer.pk, ids) if viewer else {}


@node_type("Thread")
def threads_by_id(viewer: User | None, ids: Sequence[UUID]) -> Mapping[UUID, Any]:
    """Of these threads, those the viewer is in."""
    if viewer is None:
        return {}
    rows = list(threads.threads_of(viewer.pk).filter(id__in=ids).select_related("low", "high"))
    together = [row.id for row in rows]
    return {row.id: Thread.of(row, viewer.pk, together) for row in rows}


@node_type("Person")
def people_known_by_id(viewer: User | None, ids: Sequence[UUID]) -> Mapping[UUID, Any]:
    """Of these people, the viewer and those the viewer has a thread with."""
    if viewer is None:
        return {}
    return people_by_id(threads.known_among(viewer.pk, ids))
