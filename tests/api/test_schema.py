"""The schema as a whole: written down, described, without a UUID or a bare number for money."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
    parse,
)

import config.schema
from superapp.errors import all_errors
from superapp.graphql import bounds
from superapp.graphql.operations import declared_mutations

core = config.schema.schema._schema
types = {name: kind for name, kind in core.type_map.items() if not name.startswith("__")}


def test_the_committed_schema_is_what_the_code_offers() -> None:
    call_command("schema", "--check", stdout=StringIO(), stderr=StringIO())


def test_a_change_that_was_not_written_down_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config.schema.schema, "as_str", lambda: "type Query { a: Int }")
    shown = StringIO()
    with pytest.raises(CommandError):
        call_command("schema", "--check", stdout=StringIO(), stderr=shown)
    assert "+type Query { a: Int }" in shown.getvalue()


def test_the_schema_is_read_by_any_parser() -> None:
    assert parse(config.schema.schema.as_str())


def parts() -> list[tuple[str, Any]]:
    """Everything that has a description, by name."""
    found: list[tuple[str, Any]] = []
    for name, kind in types.items():
        found.append((name, kind))
        match kind:
            case GraphQLObjectType() | GraphQLInterfaceType():
                for field_name, field in kind.fields.items():
                    found.append((f"{name}.{field_name}", field))
                    found.extend((f"{name}.{field_name}({key})", value) for key, value in field.args.items())
            case GraphQLInputObjectType():
                found.extend((f"{name}.{key}", value) for key, value in kind.fields.items())
            case GraphQLEnumType():
                found.extend((f"{name}.{key}", value) for key, value in kind.values.items())
    return found


SELF_EXPLAINING = ("(input)", "Node.id", "Query.node(id)")


def test_everything_is_described() -> None:
    missing = [name for name, part in parts() if not part.description and not name.endswith(SELF_EXPLAINING)]
    assert not missing


def test_no_uuid_float_or_bare_decimal_is_shown() -> None:
    assert not {"UUID", "Float", "Decimal", "JSON"} & set(types)


def test_every_list_that_takes_a_page_is_a_connection_and_the_other_way_round() -> None:
    for name, kind in types.items():
        if not isinstance(kind, GraphQLObjectType):
            continue
        for field_name, field in kind.fields.items():
            is_connection = get_named_type(field.type).name.endswith("Connection")
            assert is_connection == ("first" in field.args), f"{name}.{field_name}"
            if is_connection:
                assert {"first", "after", "last", "before"} <= set(field.args)


def test_each_mutation_takes_one_input_and_answers_with_its_union() -> None:
    declared = {mutation.field: mutation for mutation in declared_mutations()}
    assert core.mutation_type is not None
    for name, field in core.mutation_type.fields.items():
        assert set(field.args) <= {"input"}, name
        result = get_named_type(field.type)
        assert isinstance(result, GraphQLUnionType), name
        assert isinstance(field.type, GraphQLNonNull), name
        assert result.name == declared[name].result
        success, *refusals = result.types
        assert success.name == f"{name[0].upper()}{name[1:]}Success"
        user_error = core.get_type("UserError")
        assert all(user_error in refusal.interfaces for refusal in refusals), name
        assert len(refusals) == len(declared[name].raises)


def test_a_mutation_with_an_idempotency_key_stands_alone() -> None:
    assert core.mutation_type is not None
    for name, field in core.mutation_type.fields.items():
        kind = get_named_type(field.args["input"].type) if field.args else None
        fields = kind.fields if isinstance(kind, GraphQLInputObjectType) else {}
        if "idempotencyKey" in fields or any("pin" in key.lower() for key in fields):
            assert bounds._stands_alone(field), name


def test_a_mutation_that_takes_a_key_can_be_asked_for_its_effect_alone() -> None:
    assert core.mutation_type is not None
    for name, field in core.mutation_type.fields.items():
        kind = get_named_type(field.args["input"].type) if field.args else None
        fields = kind.fields if isinstance(kind, GraphQLInputObjectType) else {}
        assert ("idempotencyKey" in fields) == ("dryRun" in fields), name


def test_the_enum_of_codes_knows_every_refusal() -> None:
    codes = core.get_type("ErrorCode")
    assert isinstance(codes, GraphQLEnumType)
    known = {error.code for error in all_errors() if not error.__module__.startswith("tests.")}
    assert known <= set(codes.values)
