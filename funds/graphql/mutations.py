"""What can be done in funds."""

import strawberry


@strawberry.type
class Mutation:
    """Declared with superapp.graphql.operations.mutation."""
