"""Lists in the back office that never count more rows than a person could leaf through."""

from typing import TYPE_CHECKING, Any

from django.core.paginator import Paginator
from django.utils.functional import cached_property

if TYPE_CHECKING:
    AnyPaginator = Paginator[Any]
else:
    AnyPaginator = Paginator  # takes no type at run time

MOST_ROWS = 10_000
"""A list offers this many rows at most; whoever needs others narrows the search or the filters."""


class BoundedPaginator(AnyPaginator):
    """Counts up to MOST_ROWS and stops: counting all of a long table would cost more than the page it is for."""

    @cached_property
    def count(self) -> int:
        """How many rows the list offers: all of them, or MOST_ROWS."""
        return min(self._counted, MOST_ROWS)

    @property
    def is_cut(self) -> bool:
        """Whether there are more rows than the list offers."""
        return self._counted > MOST_ROWS

    @cached_property
    def _counted(self) -> int:
        found: int = self.object_list.order_by().values("pk")[: MOST_ROWS + 1].count()  # type: ignore[attr-defined]
        return found
