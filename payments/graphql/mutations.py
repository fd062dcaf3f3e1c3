"""What can be done in payments."""

import strawberry


@strawberry.type
class Mutation:
    """Declared with superapp.graphql.operations.mutation."""
