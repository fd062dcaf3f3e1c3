"""What funds adds to Query and Viewer."""

import strawberry

from superapp.graphql.queries import ViewerFields


@strawberry.type
class FundsFields(ViewerFields):
    """The viewer's part of funds; `self.person` is who asks."""


@strawberry.type
class Query:
    """Reading that needs no viewer."""
