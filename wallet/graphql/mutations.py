"""What can be done in wallet."""

import strawberry


@strawberry.type
class Mutation:
    """Declared with superapp.graphql.operations.mutation."""
