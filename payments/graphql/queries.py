"""What payments adds to Query and Viewer."""

import strawberry

from superapp.graphql.queries import ViewerFields


@strawberry.type
class PaymentsFields(ViewerFields):
    """The viewer's part of payments; `self.person` is who asks."""


@strawberry.type
class Query:
    """Reading that needs no viewer."""
