"""From the text of a request to a document that may run: parsed, bounded, validated, priced; remembered by its text.

A document is decided once: `prepare` keeps the last `REMEMBERED` texts with their verdict, errors too. What is not kept:
mutations without variables, because they carry a key or a PIN of their own and never come twice.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock
from typing import Any

from django.conf import settings
from graphql import (
    ASTValidationRule,
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLInputType,
    GraphQLSchema,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    OperationType,
    ValueNode,
    ValuesOfCorrectTypeRule,
    VisitorAction,
    get_operation_ast,
    parse,
    specified_rules,
    validate,
)
from strawberry.extensions import SchemaExtension
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from superapp.graphql import bounds
from superapp.graphql.context import Context
from superapp.graphql.errors import ApiError
from superapp.graphql.masking import MAX_ERRORS, value_problem

REMEMBERED = 500


class QuietValuesOfCorrectType(ValuesOfCorrectTypeRule):
    """The specification's rule, telling where a literal is wrong and what was expected, never what it was."""

    _node: ValueNode | None = None

    def is_valid_value_node(self, node: ValueNode, input_type: GraphQLInputType | None) -> VisitorAction:
        """As the specification's rule; remembers where it looks, because what a scalar raises knows no place."""
        self._node = node
        return super().is_valid_value_node(node, input_type)

    def report_error(self, error: GraphQLError) -> None:
        """Reports what a scalar of ours raised as it is, any other error without the value it quotes."""
        if isinstance(error, ApiError):
            problem = error
        else:
            problem = ApiError("BAD_REQUEST", f"This value cannot be used: {value_problem(error.message)}.")
        super().report_error(GraphQLError(problem.message, error.nodes or self._node, original_error=problem))


# One constant each: rules made anew per request would never find their cached verdicts.
_RULES: tuple[type[ASTValidationRule], ...] = (
    *(QuietValuesOfCorrectType if rule is ValuesOfCorrectTypeRule else rule for rule in specified_rules),
    MaybeNullValidationRule,
    OneOfInputValidationRule,
)
_RULES_WITHOUT_INTROSPECTION: tuple[type[ASTValidationRule], ...] = (*_RULES, NoSchemaIntrospectionCustomRule)


@dataclass(frozen=True)
class Prepared:
    """What is known of one text: the document when it could be read, the errors if it may not run, else its price."""

    document: DocumentNode | None
    errors: tuple[GraphQLError, ...]
    price: bounds.Price | None


_remembered: OrderedDict[tuple[int, bool, str], Prepared] = OrderedDict()
_lock = Lock()


def prepare(schema: GraphQLSchema, text: str) -> Prepared:
    """The verdict on a text, from memory if it was seen before."""
    introspection: bool = settings.SUPERAPP_SANDBOX
    key = (id(schema), introspection, text)
    with _lock:
        known = _remembered.get(key)
        if known is not None:
            _remembered.move_to_end(key)
            return known
    prepared = _decide(schema, text, introspection=introspection)
    if _worth_remembering(prepared.document):
        with _lock:
            _remembered[key] = prepared
            while len(_remembered) > REMEMBERED:
                _remembered.popitem(last=False)
    return prepared


def forget() -> None:
    """Empties the memory; for measurements and tests."""
    with _lock:
        _remembered.clear()


def remembered() -> int:
    """How many texts are in memory."""
    return len(_remembered)


def _decide(schema: GraphQLSchema, text: str, *, introspection: bool) -> Prepared:
    try:
        document = parse(text, max_lexical_tokens=bounds.MAX_TOKENS, max_comments=bounds.MAX_TOKENS)
    except GraphQLError as error:
        if "contains more than" in error.message:
            error = ApiError("TOO_EXPENSIVE", f"A document has at most {bounds.MAX_TOKENS} tokens.")
        elif "too deep" in error.message:
            error = ApiError("TOO_EXPENSIVE", "The document is nested too deeply.")
        return Prepared(document=None, errors=(error,), price=None)
    try:
        bounds.check_document(document)
        rules = _RULES if introspection else _RULES_WITHOUT_INTROSPECTION
        errors = validate(schema, document, rules, max_errors=MAX_ERRORS, hide_suggestions=True)
        if errors:
            return Prepared(document=document, errors=tuple(errors[:MAX_ERRORS]), price=None)
        bounds.check_alone(schema, document)
        return Prepared(document=document, errors=(), price=bounds.price_of(schema, document))
    except ApiError as error:
        return Prepared(document=document, errors=(error,), price=None)
    except RecursionError:
        return Prepared(
            document=document, errors=(ApiError("TOO_EXPENSIVE", "The document is nested too deeply."),), price=None
        )


def _worth_remembering(document: DocumentNode | None) -> bool:
    if document is None:
        return False
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    return all(node.operation is not OperationType.MUTATION or node.variable_definitions for node in operations)


def _root_field(document: DocumentNode, operation_name: str | None) -> str:
    """The one root field of the operation that runs, which validation knows; `several` for any other selection."""
    operation = get_operation_ast(document, operation_name)
    fields = operation.selection_set.selections if operation is not None else ()
    return fields[0].name.value if len(fields) == 1 and isinstance(fields[0], FieldNode) else "several"


class PreparedDocuments(SchemaExtension):
    """Hands Strawberry the prepared document instead of having it parsed and validated again."""

    prepared: Prepared

    def on_parse(self) -> Iterator[None]:
        """Parsing: the document, or the error that it cannot be read."""
        context = self.execution_context
        self.prepared = prepare(context.schema._schema, context.query or "")
        if self.prepared.document is None:
            raise self.prepared.errors[0]
        context.graphql_document = self.prepared.document
        yield

    def on_validate(self) -> Iterator[None]:
        """Validation: the verdict, and the price with this request's page sizes."""
        context = self.execution_context
        errors: list[Any] = list(self.prepared.errors)
        if self.prepared.price is not None:
            try:
                self.prepared.price.check(context.variables)
            except ApiError as error:
                errors = [error]
        if not errors and self.prepared.document is not None and isinstance(context.context, Context):
            context.context.operation = _root_field(self.prepared.document, context.operation_name)
        context.pre_execution_errors = errors
        yield
