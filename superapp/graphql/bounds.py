"""What one request may ask, checked before it costs anything.

| bound | value | checked |
|---|---|---|
| tokens | 1,000 | by the lexer |
| operations | 1 | on the document |
| aliases, directives | 15, 5 | on the document, fragments counted once |
| nesting of selection sets | 24 | on the document, inline fragments included |
| depth | 8 fields | with fragments expanded |
| repeats of a response key | 20 | with fragments expanded and selections merged, as execution merges them |
| fields in all, expanded | 2,000 | against fragment bombs |
| money mutations | alone in their document | after validation |
| cost | 5,000 | per request, because page sizes may be variables |

Cost counts objects that may be answered: an object 1, a page its size times what one item costs, a list without page
arguments 10 times. Leaves are free.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    Node,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    StringValueNode,
    VariableNode,
    get_named_type,
    is_composite_type,
    is_list_type,
    is_non_null_type,
)
from strawberry.schema.schema_converter import GraphQLCoreConverter

from superapp.graphql.errors import ApiError
from superapp.graphql.operations import ALONE
from superapp.graphql.relay import DEFAULT_PAGE, MAX_PAGE

MAX_BODY_BYTES = 65_536
MAX_TOKENS = 1_000
MAX_DEPTH = 8
MAX_ALIASES = 15
MAX_REPEATS = 20
MAX_DIRECTIVES = 5
MAX_NESTING = 24
MAX_EXPANDED_FIELDS = 2_000
MAX_COST = 5_000

ASSUMED_LIST = 10

_INTROSPECTION = frozenset({"__schema", "__type"})
_INTROSPECTION_DEPTH = 16

Level = list[tuple[SelectionSetNode, str]]
"""Selection sets that execution merges, each with the name of the type it selects from ('' before types are known)."""


def _too_expensive(message: str) -> ApiError:
    return ApiError("TOO_EXPENSIVE", message)


def check_document(document: DocumentNode) -> None:
    """The bounds that can be seen without the schema. Raises ApiError BAD_REQUEST or TOO_EXPENSIVE."""
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if len(operations) != 1:
        raise ApiError("BAD_REQUEST", "A request holds exactly one operation.")
    aliases = directives = 0
    for node, nesting in _every_node(document):
        if nesting > MAX_NESTING:
            raise _too_expensive(f"Selections may be nested {MAX_NESTING} deep, inline fragments included.")
        match node:
            case FieldNode():
                aliases += node.alias is not None
                directives += len(node.directives or ())
            case FragmentSpreadNode() | InlineFragmentNode() | OperationDefinitionNode() | FragmentDefinitionNode():
                directives += len(node.directives or ())
            case StringValueNode() if "\x00" in node.value:
                raise ApiError("BAD_REQUEST", "Text cannot hold the character NUL.")
    if aliases > MAX_ALIASES:
        raise _too_expensive(f"A request may use {MAX_ALIASES} aliases.")
    if directives > MAX_DIRECTIVES:
        raise _too_expensive(f"A request may use {MAX_DIRECTIVES} directives.")
    _Expansion(document).check(operations[0])


def _every_node(document: DocumentNode) -> Iterator[tuple[Node, int]]:
    stack: list[tuple[Node, int]] = [(document, 0)]
    while stack:
        node, nesting = stack.pop()
        yield node, nesting
        inner = nesting + isinstance(node, SelectionSetNode)
        if inner > MAX_NESTING + 1:
            continue
        for key in node.keys:
            child = getattr(node, key, None)
            if isinstance(child, Node):
                stack.append((child, inner))
            elif isinstance(child, list | tuple):
                stack.extend((item, inner) for item in child if isinstance(item, Node))


def _fragments(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    return {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}


def _merged(level: Level, fragments: Mapping[str, FragmentDefinitionNode]) -> dict[str, list[tuple[FieldNode, str]]]:
    """The fields of a level by response key, fragments expanded: each fragment once, as execution does."""
    found: dict[str, list[tuple[FieldNode, str]]] = {}
    seen: set[str] = set()
    stack = list(level)
    while stack:
        selections, type_name = stack.pop()
        for node in selections.selections:
            match node:
                case FieldNode():
                    key = node.alias.value if node.alias else node.name.value
                    found.setdefault(key, []).append((node, type_name))
                case InlineFragmentNode():
                    condition = node.type_condition
                    stack.append((node.selection_set, condition.name.value if condition else type_name))
                case FragmentSpreadNode() if node.name.value not in seen:
                    seen.add(node.name.value)
                    fragment = fragments.get(node.name.value)
                    if fragment is not None:
                        stack.append((fragment.selection_set, fragment.type_condition.name.value))
    return found


class _Expansion:
    """Walks a document the way execution would, and stops at the first bound it passes."""

    def __init__(self, document: DocumentNode) -> None:
        self.fragments = _fragments(document)
        self.fields = 0

    def check(self, operation: OperationDefinitionNode) -> None:
        self._level([(operation.selection_set, "")], depth=1, deepest=MAX_DEPTH)

    def _level(self, level: Level, *, depth: int, deepest: int) -> None:
        if depth > deepest:
            raise _too_expensive(f"Fields may be nested {MAX_DEPTH} deep.")
        for key, nodes in _merged(level, self.fragments).items():
            self.fields += len(nodes)
            if self.fields > MAX_EXPANDED_FIELDS:
                raise _too_expensive("The request is too large once its fragments are expanded.")
            if len(nodes) > MAX_REPEATS:
                raise _too_expensive(f"A field may be asked for {MAX_REPEATS} times under one response key.")
            inner: Level = [(node.selection_set, "") for node, _ in nodes if node.selection_set]
            if inner:
                introspects = depth == 1 and key in _INTROSPECTION and all(n.name.value == key for n, _ in nodes)
                self._level(inner, depth=depth + 1, deepest=_INTROSPECTION_DEPTH if introspects else deepest)


@dataclass(frozen=True)
class Priced:
    """One composite field of a document: how many objects it may answer, and what each of them asks for."""

    sizes: tuple[int | str, ...]
    """Page sizes that were written down; a string is the name of a variable."""
    otherwise: int
    """How many when nothing is written down."""
    inner: tuple["Priced", ...]

    def cost(self, variables: Mapping[str, Any]) -> int:
        """How many objects the field may answer, at most."""
        sizes = [_size(variables.get(size)) if isinstance(size, str) else size for size in self.sizes]
        known = [size for size in sizes if size is not None]
        return 1 + (max(known) if known else self.otherwise) * sum(part.cost(variables) for part in self.inner)


def _size(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, list | tuple):
        return len(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return min(max(value, 1), MAX_PAGE)
    return MAX_PAGE


@dataclass(frozen=True)
class Price:
    """What a validated document may cost; page sizes in variables are filled in per request."""

    parts: tuple[Priced, ...]
    defaults: Mapping[str, Any]

    def check(self, variables: Mapping[str, Any] | None) -> None:
        """Raises ApiError TOO_EXPENSIVE."""
        known = {**self.defaults, **(variables or {})}
        if sum(part.cost(known) for part in self.parts) > MAX_COST:
            raise _too_expensive("The request asks for too much at once; ask for smaller pages or fewer nested lists.")


def check_alone(schema: GraphQLSchema, document: DocumentNode) -> None:
    """A mutation that moves money or checks a PIN stands alone. For valid documents. Raises ApiError BAD_REQUEST."""
    operation = _operation(document)
    root = schema.mutation_type
    if operation.operation is not OperationType.MUTATION or root is None:
        return
    groups = _merged([(operation.selection_set, root.name)], _fragments(document))
    names = [nodes[0][0].name.value for nodes in groups.values()]
    effects = [name for name in names if name != "__typename"]
    if len(effects) > 1 and any(_stands_alone(root.fields[name]) for name in effects):
        raise ApiError("BAD_REQUEST", "A mutation that moves money or checks a PIN stands alone in its request.")


def _stands_alone(field: GraphQLField) -> bool:
    definition = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    return bool(definition is not None and definition.metadata.get(ALONE))


def _operation(document: DocumentNode) -> OperationDefinitionNode:
    return next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))


def price_of(schema: GraphQLSchema, document: DocumentNode) -> Price:
    """The price of a document that passed validation and `check_document`."""
    operation = _operation(document)
    root = schema.get_root_type(operation.operation)
    defaults = {
        definition.variable.name.value: _literal(definition.default_value)
        for definition in operation.variable_definitions or ()
        if definition.default_value is not None
    }
    assert root is not None  # noqa: S101 - validation knows the operation's type
    level: Level = [(operation.selection_set, root.name)]
    return Price(parts=_priced(schema, level, _fragments(document)), defaults=defaults)


def _priced(schema: GraphQLSchema, level: Level, fragments: Mapping[str, FragmentDefinitionNode]) -> tuple[Priced, ...]:
    parts = []
    for nodes in _merged(level, fragments).values():
        inner: Level = []
        sizes: list[int | str] = []
        otherwise = 1
        for node, type_name in nodes:
            field = _field(schema, type_name, node.name.value)
            if field is None or node.selection_set is None:
                continue
            inner.append((node.selection_set, get_named_type(field.type).name))
            sizes.extend(_sizes(node))
            otherwise = max(otherwise, _otherwise(field, node.name.value))
        if inner:
            parts.append(Priced(sizes=tuple(sizes), otherwise=otherwise, inner=_priced(schema, inner, fragments)))
    return tuple(parts)


def _field(schema: GraphQLSchema, type_name: str, name: str) -> GraphQLField | None:
    """The field, or None for introspection and `__typename`, which cost nothing here."""
    if name.startswith("__"):
        return None
    owner = schema.get_type(type_name)
    field: GraphQLField | None = getattr(owner, "fields", {}).get(name)
    return field if field is not None and is_composite_type(get_named_type(field.type)) else None


def _otherwise(field: GraphQLField, name: str) -> int:
    if "first" in field.args:
        return DEFAULT_PAGE
    plain = field.type.of_type if is_non_null_type(field.type) else field.type
    return ASSUMED_LIST if is_list_type(plain) and name != "edges" and "ids" not in field.args else 1


def _sizes(node: FieldNode) -> list[int | str]:
    sizes: list[int | str] = []
    for argument in node.arguments or ():
        if argument.name.value not in {"first", "last", "ids"}:
            continue
        if isinstance(argument.value, VariableNode):
            sizes.append(argument.value.name.value)
        else:
            size = _size(_literal(argument.value))
            if size is not None:
                sizes.append(size)
    return sizes


def _literal(node: Node) -> object:
    if isinstance(node, IntValueNode):
        return int(node.value) if len(node.value) < 10 else MAX_PAGE
    return list(node.values) if isinstance(node, ListValueNode) else None
