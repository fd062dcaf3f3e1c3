"""Domain errors: told again exactly, one code each."""

import pickle
import typing
import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from superapp import errors
from superapp.errors import DomainError, InvalidAmount, NotFound, RateLimited

EXAMPLES: dict[object, object] = {
    str: "some text",
    int: 7,
    bool: True,
    Decimal: Decimal("100.00"),
    datetime: datetime(2013, 9, 19, 15, 0, tzinfo=UTC),
    date: date(2013, 9, 19),
    uuid.UUID: uuid.UUID(int=5),
}


@dataclass(eq=False)
class QuotaTaken(DomainError):
    """A refusal with a fact of each type."""

    code = "TEST_QUOTA_TAKEN"
    message = "Only {left} of it is left until {resets_at}; ask for less."
    left: Decimal
    resets_at: datetime
    day: date
    order: uuid.UUID
    tries: int
    final: bool
    fund: str | None = None
    cap: Decimal | None = None


def a_quota_taken() -> QuotaTaken:
    return QuotaTaken(
        left=Decimal("1E+2"),
        resets_at=datetime(2013, 9, 22, tzinfo=UTC),
        day=date(2013, 9, 21),
        order=uuid.UUID(int=9),
        tries=3,
        final=False,
        cap=Decimal("0.00000001"),
    )


def test_a_refusal_told_again_from_its_facts_equals_the_first_one() -> None:
    refused = a_quota_taken().at("input", "amount")
    again = errors.rebuild(refused.code, refused.facts(), refused.path)
    assert again == refused
    assert type(again) is QuotaTaken
    assert again.left == Decimal(100)
    assert again.message == refused.message


def test_facts_are_plain_and_decimals_have_no_exponent() -> None:
    facts = a_quota_taken().facts()
    assert facts["left"] == "100"
    assert facts["cap"] == "0.00000001"
    assert facts["fund"] is None
    assert {type(fact) for fact in facts.values()} <= {str, int, bool, type(None)}


def test_every_refusal_of_the_kernel_survives_being_stored() -> None:
    for error_class in errors.all_errors():
        if not error_class.__module__.startswith("superapp."):
            continue
        hints = typing.get_type_hints(error_class)
        facts = {field.name: EXAMPLES[hints[field.name]] for field in error_class._fields()}
        refused = error_class(**facts)
        assert errors.rebuild(refused.code, refused.facts()) == refused
        assert refused.message.endswith("."), refused


def test_refusals_with_other_facts_or_another_path_differ() -> None:
    assert NotFound(what="wallet") == NotFound(what="wallet")
    assert NotFound(what="wallet") != NotFound(what="transfer")
    assert NotFound(what="wallet").at("id") != NotFound(what="wallet")
    assert NotFound(what="wallet") != InvalidAmount(reason="wallet")


def test_the_sentence_quotes_the_facts() -> None:
    assert "Only 100 of it is left until 2013-09-22" in a_quota_taken().message
    assert str(NotFound(what="wallet")) == "NOT_FOUND: There is no such wallet, or it is not yours."


def test_a_code_is_given_once() -> None:
    with pytest.raises(TypeError, match="NOT_FOUND is taken"):

        @dataclass(eq=False)
        class Missing(DomainError):
            code = "NOT_FOUND"


def test_an_unknown_code_is_no_refusal_of_ours() -> None:
    with pytest.raises(LookupError, match="NO_SUCH_CODE"):
        errors.rebuild("NO_SUCH_CODE", {})


def test_a_fact_the_class_no_longer_has_is_left_aside() -> None:
    assert errors.rebuild("NOT_FOUND", {"what": "wallet", "since": "2013"}) == NotFound(what="wallet")


def test_a_float_is_no_fact() -> None:
    with pytest.raises(TypeError, match="float"):
        InvalidAmount(reason=1.5).facts()  # type: ignore[arg-type]


def test_a_refusal_crosses_process_borders() -> None:
    refused = RateLimited(retry_at=datetime(2013, 9, 22, tzinfo=UTC)).at("phone")
    assert pickle.loads(pickle.dumps(refused)) == refused  # noqa: S301  our own bytes
