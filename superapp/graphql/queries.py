"""The parts of Query and Viewer that no product owns."""

from typing import Annotated

import strawberry

from superapp import payees
from superapp.graphql.context import Info, signed_in
from superapp.graphql.people import Person
from superapp.graphql.relay import Node, load_nodes, node_id
from superapp.models import User


@strawberry.type
class ViewerFields:
    """The base of every app's part of Viewer: what they share is the person who asks."""

    person: strawberry.Private[User]


@strawberry.type
class PersonFields(ViewerFields):
    """Who the viewer is."""

    @strawberry.field(description="The viewer's id as a person: what others pay to.")
    def id(self) -> strawberry.ID:
        return node_id("Person", self.person.pk)

    @strawberry.field(description="The name others see, in full only to the viewer; empty until it is set.")
    def display_name(self) -> str:
        return self.person.display_name

    @strawberry.field(description="The confirmed phone number, E.164; null when there is none.")
    def phone(self) -> str | None:
        return self.person.phone

    @strawberry.field(description="The e-mail address; null when there is none.")
    def email(self) -> str | None:
        return self.person.email

    @strawberry.field(description="The unique name others can pay to; null when none was chosen.")
    def handle(self) -> str | None:
        return self.person.handle

    @strawberry.field(description="Whether payers who know the viewer's phone number may find the viewer by it.")
    def findable_by_phone(self) -> bool:
        return self.person.findable_by_phone


Phone = Annotated[
    str, strawberry.argument(description="In any usual way of writing it; without country code it is taken as local.")
]
Ids = Annotated[list[strawberry.ID], strawberry.argument(description="At most 100.")]


@strawberry.type
class Query:
    """Reading by id, and finding someone to pay."""

    @strawberry.field(
        description="Someone to pay, by phone number, with a masked name. Null when nobody has the number or its owner "
        "does not want to be found by it. For signed-in people; counted, see RATE_LIMITED."
    )
    def person(self, info: Info, phone: Phone) -> Person | None:
        found = payees.find_by_phone(asker=signed_in(info), address=info.context.address, phone=phone)
        if found is None:
            return None
        return Person(id=node_id("Person", found.id), display_name=found.masked_name, handle=found.handle)

    @strawberry.field(description="The object behind an id; null when it does not exist or is not the viewer's to see.")
    def node(self, info: Info, id: strawberry.ID) -> Node | None:
        found: Node | None = load_nodes(info.context.user, [id])[0]
        return found

    @strawberry.field(description="The objects behind ids, in their order, null for each that `node` would not answer.")
    def nodes(self, info: Info, ids: Ids) -> list[Node | None]:
        return load_nodes(info.context.user, ids)
