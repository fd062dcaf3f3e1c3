"""Node ids and connections, after Relay's Global Object Identification and Cursor Connections specifications.

**Node ids** are opaque to clients: base64 of `Type:uuid`. What is absent, somebody else's, of another type or no id at
all is answered alike: null. A type offers itself to `node(id:)` with a loader that is given the viewer:

    @node_type("Transfer")
    def transfers(viewer: User | None, ids: Sequence[UUID]) -> Mapping[UUID, Transfer]:
        "Only the transfers this viewer may see."

**Connections** are read by keyset: a cursor holds the last row's sort key, never an offset, so pages neither skip nor
repeat rows while new ones arrive. At most 100 a page, 20 unless asked. See `page_of`, `from_queryset`, `connection`.
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import strawberry
from django.db.models import Model, Q, QuerySet

from superapp.errors import NotFound
from superapp.graphql.errors import ApiError
from superapp.models import User

MAX_PAGE = 100
DEFAULT_PAGE = 20
MAX_CURSOR_LENGTH = 400


# ---------------------------------------------------------------------------------------------------------- node ids


@strawberry.interface(description="Anything that has an id of its own and can be read again by it.")
class Node:
    id: strawberry.ID = strawberry.field(description="Opaque, unique over all types, and stable.")


Loader = Callable[[User | None, Sequence[UUID]], Mapping[UUID, Any]]
_loaders: dict[str, Loader] = {}


def node_type(name: str) -> Callable[[Loader], Loader]:
    """Registers the loader of one GraphQL type: from viewer and ids to the objects this viewer may see, by id."""

    def register(loader: Loader) -> Loader:
        if name in _loaders:
            raise TypeError(f"{name} has a loader already.")
        _loaders[name] = loader
        return loader

    return register


def node_id(type_name: str, key: UUID) -> strawberry.ID:
    """The opaque id of one object."""
    return strawberry.ID(base64.b64encode(f"{type_name}:{key}".encode()).decode())


def read_node_id(value: str) -> tuple[str, UUID] | None:
    """Type and key of an id, or None when it is no id that `node_id` could have made."""
    if len(value) > 200:
        return None
    try:
        name, _, key = base64.b64decode(value.encode("ascii"), validate=True).decode("ascii").partition(":")
        found = UUID(key)
    except (ValueError, binascii.Error):
        return None
    return (name, found) if node_id(name, found) == value else None


def key_of(value: str, type_name: str, *, what: str | None = None) -> UUID:
    """The key behind an id in an input. Raises NotFound, like for an absent one, when it is not of that type."""
    found = read_node_id(value)
    if found is None or found[0] != type_name:
        raise NotFound(what=what or type_name.lower())
    return found[1]


def load_nodes(viewer: User | None, ids: Sequence[str]) -> list[Any]:
    """The objects behind `ids` in their order, null for each the viewer cannot see. One load for each type.

    Raises the top-level error BAD_REQUEST for more than 100 ids.
    """
    if len(ids) > MAX_PAGE:
        raise ApiError("BAD_REQUEST", f"At most {MAX_PAGE} ids can be asked for at once.")
    read = [read_node_id(value) for value in ids]
    wanted: dict[str, list[UUID]] = {}
    for item in read:
        if item is not None and item[0] in _loaders:
            wanted.setdefault(item[0], []).append(item[1])
    loaded = {name: _loaders[name](viewer, list(dict.fromkeys(keys))) for name, keys in wanted.items()}
    return [loaded[item[0]].get(item[1]) if item is not None and item[0] in loaded else None for item in read]


# ------------------------------------------------------------------------------------------------------- connections

T = TypeVar("T")
Row = TypeVar("Row")
M = TypeVar("M", bound=Model)

First = Annotated[int | None, strawberry.argument(description="How many from the start; 1 to 100, 20 when absent.")]
After = Annotated[str | None, strawberry.argument(description="Only what follows this cursor.")]
Last = Annotated[
    int | None, strawberry.argument(description="How many from the end; 1 to 100. Not together with `first`.")
]
Before = Annotated[str | None, strawberry.argument(description="Only what precedes this cursor.")]


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether more follows this page.")
    has_previous_page: bool = strawberry.field(description="Whether more precedes this page.")
    start_cursor: str | None = strawberry.field(description="The cursor of the first edge; null on an empty page.")
    end_cursor: str | None = strawberry.field(description="The cursor of the last edge; null on an empty page.")


@strawberry.type(description="One place in a list.")
class Edge(Generic[T]):
    node: T = strawberry.field(description="What stands at this place.")
    cursor: str = strawberry.field(description="Opaque; hand it to `after` or `before`.")


@strawberry.type(description="A page of a list that can grow.")
class Connection(Generic[T]):
    edges: list[Edge[T]] = strawberry.field(description="The page, in the list's order, also when read with `last`.")
    page_info: PageInfo = strawberry.field(description="Whether there is more, and where to go on.")


Key = tuple[Any, ...]
"""The sort key of a row: datetimes, days, decimals, ints, UUIDs or strings."""


@dataclass(frozen=True)
class Cursors:
    """How one list's cursors are written and read: the list's name and the types of its sort key."""

    name: str
    types: tuple[type, ...]

    def write(self, key: Key) -> str:
        """The opaque cursor of a row."""
        parts = [_written(value) for value in key]
        return base64.urlsafe_b64encode(json.dumps([self.name, *parts], separators=(",", ":")).encode()).decode()

    def read(self, cursor: str) -> Key:
        """The sort key in a cursor. Raises the top-level error BAD_CURSOR for one that this list did not write."""
        try:
            if len(cursor) > MAX_CURSOR_LENGTH:
                raise ValueError
            name, *parts = json.loads(base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True))
            if name != self.name or len(parts) != len(self.types):
                raise ValueError
            key = tuple(_read(kind, part) for kind, part in zip(self.types, parts, strict=True))
            if self.write(key) != cursor:
                raise ValueError
        except (ValueError, TypeError, InvalidOperation, RecursionError):
            raise ApiError("BAD_CURSOR", "This cursor does not belong to this list; start again without it.") from None
        return key


def _written(value: object) -> str | int:
    match value:
        case bool():
            raise TypeError("A sort key holds no booleans.")
        case int() | str():
            return value
        case Decimal():
            return format(value, "f")
        case datetime() | date():
            return value.isoformat()
        case UUID():
            return str(value)
    raise TypeError(f"A sort key holds no {type(value).__name__}.")


def _read(kind: type, part: object) -> object:
    if kind is int:
        if isinstance(part, bool) or not isinstance(part, int) or abs(part) >= 1 << 63:
            raise ValueError
        return part
    if not isinstance(part, str) or "\x00" in part:
        raise ValueError
    if kind is str:
        return part
    if kind is datetime:
        instant = datetime.fromisoformat(part)
        if instant.tzinfo is None:
            raise ValueError
        return instant
    if kind is date:
        return date.fromisoformat(part)
    if kind is Decimal:
        number = Decimal(part)
        if not number.is_finite():
            raise ValueError
        return number
    return UUID(part)


@dataclass(frozen=True)
class Page:
    """What part of a list is asked for. A reader returns at most `limit` + 1 rows, in reading order (see `reverse`)."""

    cursors: Cursors
    limit: int
    reverse: bool
    """Whether to read from the end, in the list's reverse order."""
    after: Key | None
    before: Key | None


def page_of(
    cursors: Cursors,
    *,
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
) -> Page:
    """The page that a field's arguments ask for.

    Raises the top-level errors BAD_REQUEST (a size outside 1 to 100, `first` with `last`) and BAD_CURSOR.
    """
    if first is not None and last is not None:
        raise ApiError("BAD_REQUEST", "Ask for `first` or for `last`, not for both.")
    size = first if first is not None else last
    limit = DEFAULT_PAGE if size is None else size
    if not 1 <= limit <= MAX_PAGE:
        raise ApiError("BAD_REQUEST", f"A page has 1 to {MAX_PAGE} items.")
    return Page(
        cursors=cursors,
        limit=limit,
        reverse=last is not None,
        after=None if after is None else cursors.read(after),
        before=None if before is None else cursors.read(before),
    )


def connection(
    page: Page,
    rows: Iterable[Row],
    *,
    key: Callable[[Row], Key],
    node: Callable[[Row], T],
    has_more: bool | None = None,
) -> Connection[T]:
    """The answer for rows that a reader found in reading order (the list's, or its reverse when `page.reverse`).

    A reader that gives up to `page.limit` + 1 rows leaves `has_more` out; one that knows says it.
    """
    found = list(rows)
    more = len(found) > page.limit if has_more is None else has_more
    found = found[: page.limit]
    if page.reverse:
        found.reverse()
    edges = [Edge(node=node(row), cursor=page.cursors.write(key(row))) for row in found]
    return Connection(
        edges=edges,
        page_info=PageInfo(
            has_next_page=page.before is not None if page.reverse else more,
            has_previous_page=more if page.reverse else page.after is not None,
            start_cursor=edges[0].cursor if edges else None,
            end_cursor=edges[-1].cursor if edges else None,
        ),
    )


def from_queryset(page: Page, queryset: QuerySet[M], *, order: Sequence[str], node: Callable[[M], T]) -> Connection[T]:
    """A page of a queryset ordered by `order`: field names that are never null, all ascending or all descending ("-").

    The last field must be unique. One query; an index on the fields serves it. The types in `page.cursors` are theirs.
    """
    falling = order[0].startswith("-")
    if any(name.startswith("-") != falling for name in order):
        raise TypeError("A keyset goes one way: all fields ascending, or all descending.")
    names = [name.removeprefix("-") for name in order]
    rows = queryset
    if page.after is not None:
        rows = rows.filter(_beyond(names, page.after, "lt" if falling else "gt"))
    if page.before is not None:
        rows = rows.filter(_beyond(names, page.before, "gt" if falling else "lt"))
    rows = rows.order_by(*(f"-{name}" if falling != page.reverse else name for name in names))
    return connection(
        page, rows[: page.limit + 1], key=lambda row: tuple(getattr(row, name) for name in names), node=node
    )


def _beyond(names: Sequence[str], key: Key, way: str) -> Q:
    """Rows whose sort key is beyond `key`; the bound on the first field alone lets an index find where to start."""
    condition = Q()
    for position, name in enumerate(names):
        same = Q(**dict(zip(names[:position], key[:position], strict=True)))
        condition |= same & Q(**{f"{name}__{way}": key[position]})
    return Q(**{f"{names[0]}__{way}e": key[0]}) & condition
