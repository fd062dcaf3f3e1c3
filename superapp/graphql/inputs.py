"""From the values of a request to input objects, by what is known of each input type since the schema was made.

Strawberry works out each field's name and type anew for every value. Here it is done once a type; what a leaf holds has been
read by its scalar already and is taken as it is, anything deeper is left to Strawberry's own conversion, and so is a
`GlobalID`, which its scalar hands over as plain text.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from typing import Any

import strawberry
from strawberry.relay import GlobalID
from strawberry.types.arguments import InputContext, _is_leaf_type, _is_optional_leaf_type
from strawberry.types.base import StrawberryMaybe, StrawberryObjectDefinition


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    """In the API."""
    attribute: str
    deeper: Any
    """Its type where Strawberry converts it; None for a leaf."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """How values of one input type become an instance. What Strawberry asks as `from_input` of a type's definition."""

    fields: tuple[_Field, ...]
    absent: Mapping[str, None]
    """What a field that has no default of its own is, unless it is given."""

    def __call__(self, made: type, value: Mapping[str, Any], context: InputContext) -> Any:
        """The instance."""
        given: dict[str, Any] = dict(self.absent)
        for field in self.fields:
            if field.name in value:
                said = value[field.name]
                given[field.attribute] = (
                    said if field.deeper is None else context.convert(said, field.deeper, field.name)
                )
        return made(**given)


def read_quickly(schema: strawberry.Schema) -> None:
    """Lets every input type of the schema be read so, but for those that tell null from absent (`Maybe`)."""
    for known in schema.schema_converter.type_map.values():
        definition = known.definition
        if isinstance(definition, StrawberryObjectDefinition) and definition.is_input and definition.from_input is None:
            types = {field: field.resolve_type(type_definition=definition) for field in definition.fields}
            if not any(isinstance(type_, StrawberryMaybe) for type_ in types.values()):
                definition.from_input = _Reading(
                    fields=tuple(
                        _Field(
                            name=schema.config.name_converter.from_field(field),
                            attribute=field.python_name,
                            deeper=None if _is_leaf(type_, schema) else type_,
                        )
                        for field, type_ in types.items()
                    ),
                    absent={
                        field.python_name: None
                        for field in definition.fields
                        if field.default_value is MISSING and field.default_factory is MISSING
                    },
                )


def _is_leaf(type_: Any, schema: strawberry.Schema) -> bool:
    known = schema.schema_converter.scalar_registry
    not_leaves = (GlobalID,)  # Strawberry decodes it only as it converts
    return _is_leaf_type(type_, known, not_leaves) or _is_optional_leaf_type(type_, known, not_leaves)
