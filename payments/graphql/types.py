"""What the API says of threads and transfers."""

from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from uuid import UUID

import strawberry

from payments import models, threads
from superapp.graphql.context import Info, signed_in
from superapp.graphql.people import Person
from superapp.graphql.relay import (
    After,
    Before,
    Connection,
    Cursors,
    First,
    Last,
    Node,
    connection,
    node_id,
    page_of,
)
from superapp.graphql.scalars import Money

TRANSFER_CURSORS = Cursors(name="transfers", types=(UUID,))


@strawberry.enum(description="Where a transfer stands.")
class TransferState(Enum):
    AUTHORISED = strawberry.enum_value("authorised", description="It has left the sender and is on its way.")
    SETTLED = strawberry.enum_value("settled", description="The recipient has it. Final.")
    RETURNING = strawberry.enum_value("returning", description="It could not be credited and is on its way back.")
    RETURNED = strawberry.enum_value("returned", description="The sender has it again. Final.")


@strawberry.enum(description="Which way money went, as the viewer sees it.")
class Direction(Enum):
    SENT = strawberry.enum_value("sent", description="The viewer sent it.")
    RECEIVED = strawberry.enum_value("received", description="The viewer receives it.")


@strawberry.type(description="Money from one person to another. Only the two see it.")
class Transfer(Node):
    amount: Money = strawberry.field(description="What was sent; all of it arrives.")
    note: str | None = strawberry.field(description="What the sender wrote; null when there is nothing.")
    state: TransferState = strawberry.field(description="Where it stands.")
    direction: Direction = strawberry.field(description="Whether the viewer sent or receives it.")
    sender: Person = strawberry.field(description="Who sent it.")
    recipient: Person = strawberry.field(description="Who receives it.")
    return_reason: str | None = strawberry.field(
        description="The code of the rule that sent it back; null unless it was."
    )
    sent_at: datetime = strawberry.field(description="When it left the sender's wallet.")
    ended_at: datetime | None = strawberry.field(description="When it arrived or came back; null while on its way.")

    @classmethod
    def of(cls, row: models.Transfer, viewer_id: UUID) -> "Transfer":
        """The transfer behind a row that was read with its sender and recipient."""
        return cls(
            id=node_id("Transfer", row.id),
            amount=Money.of(row.amount, row.currency),
            note=row.note or None,
            state=TransferState(row.state),
            direction=Direction.SENT if row.sender_id == viewer_id else Direction.RECEIVED,
            sender=Person.of(row.sender),
            recipient=Person.of(row.recipient),
            return_reason=row.return_reason or None,
            sent_at=row.authorised_at,
            ended_at=row.ended_at,
        )


@strawberry.type(description="What the viewer and one other person have between them.")
class Thread(Node):
    row: strawberry.Private[models.Thread]
    page: strawberry.Private[Sequence[UUID]]
    """The threads that were read together with this one: their transfers are read together too."""

    other: Person = strawberry.field(description="The other person.")
    opened_at: datetime = strawberry.field(description="When the first of the two sent something.")

    @strawberry.field(description="What the two have sent each other, in both directions, newest first.")
    def transfers(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Transfer]:
        viewer_id = signed_in(info).pk
        page = page_of(TRANSFER_CURSORS, first=first, after=after, last=last, before=before)
        read = (Thread, tuple(self.page), page)
        if read not in info.context.memo:
            info.context.memo[read] = threads.transfers_in(
                self.page,
                limit=page.limit + 1,
                after=page.after[0] if page.after else None,
                before=page.before[0] if page.before else None,
                from_oldest=page.reverse,
            )
        rows: list[models.Transfer] = info.context.memo[read][self.row.id]
        return connection(page, rows, key=lambda row: (row.id,), node=lambda row: Transfer.of(row, viewer_id))

    @classmethod
    def of(cls, row: models.Thread, viewer_id: UUID, page: Sequence[UUID]) -> "Thread":
        """The thread behind a row that was read with its two people, and the ids of those it was read together with."""
        return cls(
            id=node_id("Thread", row.id),
            row=row,
            page=page,
            other=Person.of(row.high if row.low_id == viewer_id else row.low),
            opened_at=row.created_at,
        )


def transfers_seen_by(viewer_id: UUID, ids: Sequence[UUID]) -> dict[UUID, Transfer]:
    """Of these transfers, those of the viewer, in one query."""
    rows = threads.transfers_seen_by(viewer_id, ids).select_related("sender", "recipient")
    return {row.id: Transfer.of(row, viewer_id) for row in rows}
