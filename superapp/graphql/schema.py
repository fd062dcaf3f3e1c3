"""The schema's engine: Strawberry's, with our documents, bounds, scalars, errors and masking."""

from functools import cache
from typing import Any

import strawberry
from graphql import GraphQLError
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.schema.name_converter import NameConverter
from strawberry.types import ExecutionResult, get_object_definition
from strawberry.types.execution import ExecutionContext

from superapp.graphql.documents import PreparedDocuments
from superapp.graphql.errors import ApiError, exception_handlers
from superapp.graphql.inputs import read_quickly
from superapp.graphql.masking import masked
from superapp.graphql.scalars import SCALARS


class Names(NameConverter):
    """Strawberry's names, each made once: it asks for those of arguments and input fields with every request."""

    def __init__(self) -> None:
        super().__init__()
        self._named = cache(super().apply_naming_config)

    def apply_naming_config(self, name: str) -> str:
        """The name in the API."""
        return self._named(name)


class Schema(strawberry.Schema):
    """A schema whose results may be sent to a client as they are."""

    def execute_sync(self, *args: Any, **kwargs: Any) -> ExecutionResult:
        """Runs one operation; errors are masked and logged."""
        try:
            result = super().execute_sync(*args, **kwargs)
        except (CannotGetOperationTypeError, InvalidOperationTypeError):
            error = ApiError("BAD_REQUEST", "The document has no operation of that name and kind.")
            result = ExecutionResult(data=None, errors=[error])
        result.errors = masked(result.errors)
        return result

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Says nothing: Strawberry's own log lines quote the document; ours are written when errors are masked."""


def build_schema(*, query: type, mutation: type | None = None, types: tuple[type, ...] = ()) -> Schema:
    """The schema made of composed root types. Import every app's `graphql.errors` before, so that all are known."""
    schema = Schema(
        query=query,
        mutation=mutation if mutation is not None and get_object_definition(mutation, strict=True).fields else None,
        types=types,
        extensions=[PreparedDocuments],
        exception_handlers=exception_handlers(),
        config=StrawberryConfig(scalar_map=SCALARS, disable_field_suggestions=True, name_converter=Names()),
    )
    read_quickly(schema)
    return schema
