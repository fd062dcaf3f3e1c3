"""People as others see them: what one who pays, or is paid, may know of the other."""

from collections.abc import Iterable, Mapping
from uuid import UUID

import strawberry

from superapp.graphql.relay import Node, node_id
from superapp.models import User


@strawberry.type(description="A person as others see them. Answered by `node` to those who have a thread with them.")
class Person(Node):
    display_name: str = strawberry.field(description="The name they chose to show; empty until they choose one.")
    handle: str | None = strawberry.field(description="The unique name they can be paid to; null when none was chosen.")

    @classmethod
    def of(cls, user: User) -> "Person":
        """The person behind a row."""
        return cls(id=node_id("Person", user.pk), display_name=user.display_name, handle=user.handle)


def people_by_id(ids: Iterable[UUID]) -> Mapping[UUID, Person]:
    """Several people in one query; none when there are no ids."""
    wanted = set(ids)
    if not wanted:
        return {}
    rows = User.objects.filter(pk__in=wanted).only("pk", "display_name", "handle")
    return {row.pk: Person.of(row) for row in rows}
