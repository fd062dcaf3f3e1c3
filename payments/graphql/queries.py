"""The viewer's threads, and transfers by id."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from uuid import UUID

import strawberry

from payments import payees, threads
from payments.graphql.types import Thread, transfers_seen_by
from superapp.graphql.context import Info, signed_in
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
    node_id,
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
        return from_queryset(page, rows, order=["-id"], node=lambda row: Thread.of(row, self.person.pk))


@strawberry.type(description="Someone who can be paid, shown so far as a payer may know.")
class Payee:
    person_id: strawberry.ID = strawberry.field(description="The person's id, for `sendMoney`.")
    masked_name: str = strawberry.field(description='The name with all but first letters hidden, such as "H** M*****".')


@strawberry.type
class Query:
    """Finding people."""

    @strawberry.field(
        description="Who can be paid under a phone number; null for nobody, and for people who do not want to be found. "
        "Counted: beyond the number that is allowed in an hour, the top-level code is RATE_LIMITED."
    )
    def person(
        self,
        info: Info,
        phone: Annotated[str, strawberry.argument(description="Best with + and the country code.")],
    ) -> Payee | None:
        found = payees.look_up(viewer_id=signed_in(info).pk, phone=phone)
        if found is None:
            return None
        return Payee(person_id=node_id("Person", found.pk), masked_name=payees.masked(found.display_name))


@node_type("Transfer")
def transfers_by_id(viewer: User | None, ids: Sequence[UUID]) -> Mapping[UUID, Any]:
    """Of these transfers, those the viewer sent or receives."""
    return transfers_seen_by(viewer.pk, ids) if viewer else {}


@node_type("Thread")
def threads_by_id(viewer: User | None, ids: Sequence[UUID]) -> Mapping[UUID, Any]:
    """Of these threads, those the viewer is in."""
    if viewer is None:
        return {}
    rows = threads.threads_of(viewer.pk).filter(id__in=ids).select_related("low", "high")
    return {row.id: Thread.of(row, viewer.pk) for row in rows}


@node_type("Person")
def people_known_by_id(viewer: User | None, ids: Sequence[UUID]) -> Mapping[UUID, Any]:
    """Of these people, the viewer and those the viewer has a thread with."""
    if viewer is None:
        return {}
    return people_by_id(threads.known_among(viewer.pk, ids))
