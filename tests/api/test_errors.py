"""What a client learns of a refusal, of its own mistake and of ours, and what the log is told."""

import json
import re
from typing import Any

import pytest
from structlog.testing import capture_logs

import config.schema
from superapp import errors as domain
from superapp.errors import DomainError, all_errors
from superapp.graphql.errors import ErrorCode, UserError, type_for, user_error
from superapp.graphql.operations import declared_mutations
from tests.api import small_schema
from tests.api.small_schema import SECRET, code_of, run

pytestmark = pytest.mark.django_db

HEAVE = """
mutation Heave($input: HeaveInput!) {
  heave(input: $input) { __typename ... on HeaveSuccess { weight { amount } } ... on UserError { code message path } }
}
"""
WEIGHT = {"amount": "1.50", "currency": "CNY"}


def test_a_success_is_a_member_of_the_union() -> None:
    data, errors = run(HEAVE, input={"weight": WEIGHT, "pin": "1"})
    assert not errors
    assert data == {"heave": {"__typename": "HeaveSuccess", "weight": {"amount": "1.50"}}}


def test_a_declared_refusal_is_a_typed_result() -> None:
    data, errors = run(HEAVE, input={"weight": WEIGHT, "pin": "absent"})
    assert not errors
    assert data["heave"] == {
        "__typename": "NotFound",
        "code": "NOT_FOUND",
        "message": domain.NotFound(what="pebble").message,
        "path": ["pin"],
    }


def test_a_refusal_that_was_not_declared_is_our_mistake() -> None:
    data, errors = run(HEAVE, input={"weight": WEIGHT, "pin": "heavy"})
    assert data is None
    assert code_of(errors) == "INTERNAL"
    assert SECRET not in str(errors)


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("bug", "INTERNAL"),
        ("database", "UNAVAILABLE"),
        ("unavailable", "UNAVAILABLE"),
        ("rate", "RATE_LIMITED"),
        ("refusal", "INTERNAL"),
    ],
)
def test_what_a_field_raises_is_masked(how: str, code: str) -> None:
    with capture_logs() as log:
        data, errors = run(f'{{ fail(how: "{how}") pebble {{ number }} }}')
    assert data == {"fail": None, "pebble": {"number": 0}}
    assert code_of(errors) == code
    assert errors[0]["path"] == ["fail"]
    assert SECRET not in str(errors)
    assert SECRET not in str(log)


def test_an_internal_error_is_found_in_the_log_by_its_id() -> None:
    with capture_logs() as log:
        _, errors = run('{ fail(how: "bug") }')
    extensions = errors[0]["extensions"]
    (line,) = [line for line in log if line["event"] == "graphql_internal_error"]
    assert line["id"] == extensions["id"]
    assert line["path"] == "fail"
    assert line["exception"] == "builtins.ValueError"
    assert any("small_schema.py" in frame for frame in line["frames"])
    assert set(extensions) == {"code", "id"}


def test_someone_who_has_not_signed_in_is_told_so() -> None:
    data, errors = run("{ me }")
    assert data is None
    assert code_of(errors) == "UNAUTHENTICATED"


PIN = "918273"


@pytest.mark.parametrize(
    ("document", "variables"),
    [
        (HEAVE, {"input": {"weight": WEIGHT, "pin": int(PIN)}}),
        (HEAVE, {"input": {"weight": WEIGHT, "pin": [PIN]}}),
        (HEAVE, {"input": {"weight": WEIGHT, "pin": {"value": PIN}}}),
        (HEAVE, {"input": {"weight": {"amount": PIN}, "pin": PIN}}),
        (HEAVE, {"input": {"pin": PIN}}),
        (HEAVE, {"input": {"weight": WEIGHT, "pin": PIN, "times": PIN}}),
        (HEAVE, {"input": {"weight": WEIGHT, "pin": PIN, "unknown": PIN}}),
        (HEAVE, {"input": PIN}),
        (HEAVE, {"input": [PIN]}),
        ('mutation { heave(input: {weight: {amount: "1", currency: "CNY"}, pin: 918273}) { __typename } }', {}),
        ('mutation { heave(input: {weight: {amount: 918273, currency: "CNY"}, pin: "918273"}) { __typename } }', {}),
        ('mutation { heave(input: {weight: {currency: "CNY"}, pin: "918273"}) { __typename } }', {}),
        ('mutation { heave(input: "918273") { __typename } }', {}),
        ('mutation { heave(input: {pin: "918273" "918273"}) { __typename } }', {}),
        ('mutation { heave(input: {pin: "918273', {}),
        ("mutation { heave(input: {pin: 918273x}) { __typename } }", {}),
        ('mutation M($pin: Int = "918273") { paint(colour: "red") { __typename } }', {}),
    ],
)
def test_no_value_is_ever_echoed_or_logged(document: str, variables: dict[str, Any]) -> None:
    small_schema.mutable_calls.clear()
    with capture_logs() as log:
        data, errors = run(document, **variables)
    assert data is None
    assert errors
    assert PIN not in json.dumps(errors)
    assert PIN not in str(log)
    assert small_schema.mutable_calls == []


def test_a_mistake_in_a_variable_is_told_by_its_place() -> None:
    _, errors = run(HEAVE, input={"weight": {"currency": "CNY"}, "pin": None})
    messages = [error["message"] for error in errors]
    assert messages == [
        "Variable '$input' at 'weight': the required field 'amount' is missing.",
        "Variable '$input' at 'pin': it must not be null.",
    ]


def test_every_refusal_has_a_code_in_the_enum() -> None:
    ours = [error for error in all_errors() if not error.__module__.startswith("tests.")]
    assert len(ours) > 20
    for error in ours:
        assert ErrorCode(error.code).name == error.code


def test_a_refusal_has_one_type_only() -> None:
    with pytest.raises(TypeError):

        @user_error(domain.NotFound)
        class Another(UserError):
            pass


def test_a_refusal_without_facts_needs_no_declaration() -> None:
    made = type_for(domain.IdempotencyKeyReused)
    told = made.from_domain(domain.IdempotencyKeyReused())
    assert told.code == ErrorCode.IDEMPOTENCY_KEY_REUSED
    assert made.domain_error is domain.IdempotencyKeyReused


def test_a_refusal_with_facts_needs_a_type_that_shows_them() -> None:
    with pytest.raises(TypeError, match="carries facts"):
        type_for(domain.ClockCannotTravel)


def documented(text: str, known: dict[str, type[DomainError]]) -> set[type[DomainError]]:
    """The refusals that a docstring names in its "Raises" sentences."""
    named: set[type[DomainError]] = set()
    for sentence in re.findall(r"[Rr]aises\b[^.]*", text):
        named.update(known[word] for word in re.findall(r"\w+", sentence) if word in known)
    return named


def test_each_mutation_declares_every_refusal_its_functions_document() -> None:
    assert config.schema.schema is not None
    known = {error.__name__: error for error in all_errors()}
    for mutation in declared_mutations():
        for function in mutation.calls:
            missing = documented(function.__doc__ or "", known) - set(mutation.raises)
            assert not missing, f"{mutation.field} does not declare what {function.__qualname__} raises: {missing}"


def test_the_comparison_of_documentation_finds_what_it_should() -> None:
    known = {error.__name__: error for error in all_errors()}
    assert documented(small_schema.heave.__doc__ or "", known) == {domain.NotFound, domain.InvalidAmount}
