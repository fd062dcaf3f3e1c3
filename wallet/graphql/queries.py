"""What wallet adds to Query and Viewer."""

import strawberry

from superapp.graphql.queries import ViewerFields


@strawberry.type
class WalletFields(ViewerFields):
    """The viewer's part of wallet; `self.person` is who asks."""


@strawberry.type
class Query:
    """Reading that needs no viewer."""
