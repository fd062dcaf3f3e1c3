"""The viewer's wallets, accounts, activity and top-ups."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import strawberry

from superapp.graphql.errors import ApiError
from superapp.graphql.people import people_by_id
from superapp.graphql.queries import ViewerFields
from superapp.graphql.relay import (
    After,
    Before,
    Connection,
    Cursors,
    First,
    Key,
    Last,
    connection,
    from_queryset,
    node_type,
    page_of,
)
from superapp.models import User
from wallet import activity, pins, small_payments, top_ups, wallets
from wallet.graphql.types import Account, ActivityItem, SmallPayments, TopUp, Wallet

TOP_UP_CURSORS = Cursors(name="topUps", types=(UUID,))

MAX_ACTIVITY_CURSOR_LENGTH = 4_000


class _ActivityCursors(Cursors):
    """A place in activity is a vector, one sequence per account; see `wallet.activity`."""

    def write(self, key: Key) -> str:
        """The opaque cursor of a position."""
        return activity.write_position(key[0])

    def read(self, cursor: str) -> Key:
        """The position in a cursor. Raises the top-level error BAD_CURSOR for any other text."""
        try:
            if len(cursor) > MAX_ACTIVITY_CURSOR_LENGTH:
                raise ValueError
            return (activity.read_position(cursor),)
        except ValueError:
            raise ApiError("BAD_CURSOR", "This cursor does not belong to this list; start again without it.") from None


ACTIVITY_CURSORS = _ActivityCursors(name="activity", types=(activity.Position,))


@strawberry.type
class WalletFields(ViewerFields):
    """What the viewer has, and what happened to it."""

    @strawberry.field(description="The viewer's wallets, one for each currency, oldest first.")
    def wallets(self) -> list[Wallet]:
        page = wallets.wallets_of(self.person.pk)
        return [Wallet.of(row, page) for row in page]

    @strawberry.field(description="Everything the viewer holds: wallets and fund shares, oldest first.")
    def accounts(self) -> list[Account]:
        return [Account.of(position) for position in wallets.positions(list(wallets.accounts_of(self.person.pk)))]

    @strawberry.field(description="Whether a payment PIN is set; without one no money can be sent.")
    def has_payment_pin(self) -> bool:
        return pins.has_pin(self.person.pk)

    @strawberry.field(description="Up to which amount payments pass without PIN; null while each asks for it.")
    def small_payments(self) -> SmallPayments | None:
        chosen = small_payments.chosen_by(self.person.pk)
        return SmallPayments.of(chosen) if chosen else None

    @strawberry.field(
        description="What happened to the viewer's money on all accounts, newest first. "
        "Read on with `first` and `after`, back with `last` and `before`."
    )
    def activity(
        self, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[ActivityItem]:
        page = page_of(ACTIVITY_CURSORS, first=first, after=after, last=last, before=before)
        if (page.before is not None) if not page.reverse else (page.after is not None):
            raise ApiError("BAD_REQUEST", "Activity is read with `first` and `after`, or with `last` and `before`.")
        if page.reverse:
            than = page.before[0] if page.before else None
            found = activity.newer(owner_id=self.person.pk, limit=page.limit, than=than)
            rows: Sequence[activity.Item] = found.items[::-1]
        else:
            than = page.after[0] if page.after else None
            found = activity.older(owner_id=self.person.pk, limit=page.limit, than=than)
            rows = found.items
        people = people_by_id(row.story.counterparty_id for row in rows if row.story.counterparty_id)
        return connection(
            page,
            rows,
            key=lambda item: (item.position,),
            node=lambda item: ActivityItem.of(item, people),
            has_more=found.more,
        )

    @strawberry.field(description="The viewer's top-ups, newest first.")
    def top_ups(
        self, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[TopUp]:
        page = page_of(TOP_UP_CURSORS, first=first, after=after, last=last, before=before)
        return from_queryset(page, top_ups.top_ups_of(self.person.pk), order=["-id"], node=TopUp.of)


@node_type("Account")
def accounts_by_id(viewer: User | None, ids: Sequence[UUID]) -> Mapping[UUID, Any]:
    """Of these accounts, the viewer's own."""
    if viewer is None:
        return {}
    own = list(wallets.accounts_of(viewer.pk).filter(id__in=ids))
    return {position.account.id: Account.of(position) for position in wallets.positions(own)}


@node_type("TopUp")
def top_ups_by_id(viewer: User | None, ids: Sequence[UUID]) -> Mapping[UUID, Any]:
    """Of these top-ups, the viewer's own."""
    if viewer is None:
        return {}
    return {row.id: TopUp.of(row) for row in top_ups.top_ups_of(viewer.pk).filter(id__in=ids)}
