"""The root GraphQL schema: every app's part of Query, Viewer and Mutation, put together by inheritance.

Each app offers `queries.Query`, `queries.<App>Fields` (its part of Viewer) and `mutations.Mutation`; a field added there
is in the schema. `manage.py schema` writes the result to schema.graphql.
"""

import strawberry

import funds.graphql.mutations
import funds.graphql.queries
import payments.graphql.mutations
import payments.graphql.queries
import superapp.graphql.queries
import wallet.graphql.mutations
import wallet.graphql.queries
from superapp.graphql.context import Info
from superapp.graphql.schema import build_schema


@strawberry.type(description="The signed-in person and what is theirs.")
class Viewer(
    superapp.graphql.queries.PersonFields,
    wallet.graphql.queries.WalletFields,
    payments.graphql.queries.PaymentsFields,
    funds.graphql.queries.FundsFields,
):
    """The one type that every product adds to."""


@strawberry.type(description="Everything that can be read.")
class Query(
    superapp.graphql.queries.Query,
    funds.graphql.queries.Query,
):
    """The root of queries."""

    @strawberry.field(description="The person who asks; null for someone who has not signed in.")
    def viewer(self, info: Info) -> Viewer | None:
        user = info.context.user
        return None if user is None else Viewer(person=user)


@strawberry.type(description="Everything that can be done, one action each.")
class Mutation(
    wallet.graphql.mutations.Mutation,
    payments.graphql.mutations.Mutation,
    funds.graphql.mutations.Mutation,
):
    """The root of mutations."""


schema = build_schema(query=Query, mutation=Mutation)
