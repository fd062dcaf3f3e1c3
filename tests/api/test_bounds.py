"""Every bound of a request: what just keeps it passes, one more is refused, and nothing is done."""

from typing import Any

import pytest

from superapp.graphql import bounds, documents
from tests.api import small_schema
from tests.api.small_schema import code_of, run

pytestmark = pytest.mark.django_db


def passes(document: str, **variables: Any) -> None:
    _, errors = run(document, **variables)
    assert not errors


def is_too_expensive(document: str, **variables: Any) -> None:
    data, errors = run(document, **variables)
    assert data is None
    assert code_of(errors) == "TOO_EXPENSIVE"


def nested(depth: int) -> str:
    """A document whose deepest field stands at `depth`."""
    return "{ pebble " + "{ self " * (depth - 2) + "{ number }" + " }" * (depth - 1)


def test_eight_fields_deep_pass_and_nine_do_not() -> None:
    passes(nested(8))
    is_too_expensive(nested(9))


def test_fragments_do_not_hide_depth() -> None:
    is_too_expensive(
        "{ pebble { ...A } } fragment A on Pebble { self { self { self { ...B } } } } "
        "fragment B on Pebble { self { self { self { self { number } } } } }"
    )


def test_fifteen_aliases_pass_and_sixteen_do_not() -> None:
    passes("{ pebble { " + " ".join(f"a{n}: number" for n in range(15)) + " } }")
    is_too_expensive("{ pebble { " + " ".join(f"a{n}: number" for n in range(16)) + " } }")


def test_twenty_repeats_of_a_response_key_pass_and_twenty_one_do_not() -> None:
    passes("{ pebble { " + "number " * 20 + "} }")
    is_too_expensive("{ pebble { " + "number " * 21 + "} }")


def test_repeats_are_counted_over_fragments_and_merged_selections() -> None:
    is_too_expensive("{ pebble { " + "number " * 20 + "...A } } fragment A on Pebble { number }")
    is_too_expensive("{ " + "pebble { number number number } " * 7 + "}")
    is_too_expensive("{ pebble { " + "... { number } " * 21 + "} }")


def test_five_directives_pass_and_six_do_not() -> None:
    passes("{ pebble { " + "number @include(if: true) " * 5 + "} }")
    is_too_expensive("{ pebble { " + "number @include(if: true) " * 6 + "} }")
    is_too_expensive("{ pebble { number @include(if: true) " + "... @include(if: true) { number } " * 5 + "} }")


def test_a_thousand_tokens_pass_and_one_more_does_not() -> None:
    frame = "{ pebble { %s } }"  # with the file's end, six tokens beside the names
    _, errors = run(frame % ("number " * 995))
    assert "tokens" not in str(errors)
    data, errors = run(frame % ("number " * 996))
    assert data is None
    assert code_of(errors) == "TOO_EXPENSIVE"
    assert "1000 tokens" in str(errors)


def test_inline_fragments_cannot_be_nested_without_end() -> None:
    passes("{ pebble " + "{ ... " * 10 + "{ number }" + " }" * 11)
    is_too_expensive("{ pebble " + "{ ... " * 25 + "{ number }" + " }" * 26)
    is_too_expensive("{ pebble " + "{ ... " * 300 + "{ number }" + " }" * 301)


def test_a_fragment_bomb_is_refused_before_it_is_expanded() -> None:
    fragments = " ".join(
        f"fragment F{n} on Pebble {{ self {{ ...F{n + 1} }} a{n}: self {{ ...F{n + 1} }} b{n}: self {{ ...F{n + 1} }} }}"
        for n in range(7)
    )
    is_too_expensive("{ pebble { ...F0 } } " + fragments + " fragment F7 on Pebble { number }")


def test_a_cycle_of_fragments_is_refused() -> None:
    data, errors = run("{ pebble { ...A } } fragment A on Pebble { ...B } fragment B on Pebble { ...A }")
    assert data is None
    assert {error["extensions"]["code"] for error in errors} == {"BAD_REQUEST"}
    is_too_expensive("{ pebble { ...A } } fragment A on Pebble { self { ...A } }")


def test_one_operation_and_no_more() -> None:
    passes("query A { pebble { number } }")
    _, errors = run("query A { pebble { number } } query B { pebble { number } }")
    assert code_of(errors) == "BAD_REQUEST"
    _, errors = run("fragment A on Pebble { number }")
    assert code_of(errors) == "BAD_REQUEST"


def test_cost_multiplies_nested_pages() -> None:
    page = "{ pebbles(first: %d) { edges { node { pebbles(first: %d) { edges { node { number } } } } } } }"
    # 1 + outer x (edge 1 + node 1 + page 1 + inner x (edge 1 + node 1)), of 5,000 allowed
    passes(page % (100, 23))
    is_too_expensive(page % (100, 24))
    passes(page % (24, 100))
    is_too_expensive(page % (25, 100))


def test_page_sizes_in_variables_cost_as_much() -> None:
    page = (
        "query Q($outer: Int, $inner: Int = 100) { pebbles(first: $outer) "
        "{ edges { node { pebbles(last: $inner) { edges { node { number } } } } } } }"
    )
    passes(page, outer=100, inner=23)
    is_too_expensive(page, outer=100, inner=24)
    is_too_expensive(page, outer=100)
    passes(page)
    is_too_expensive(page, outer="99", inner="99")


def test_a_page_without_a_size_costs_as_the_default_page() -> None:
    assert bounds.Priced(sizes=(), otherwise=20, inner=()).cost({}) == 1
    data, _ = run("{ pebbles { edges { node { number } } } }")
    assert len(data["pebbles"]["edges"]) == 20


HEAVE = 'heave(input: {weight: {amount: "1", currency: "CNY"}, pin: "%s"}) { __typename }'


def test_a_mutation_that_moves_money_stands_alone() -> None:
    small_schema.mutable_calls.clear()
    for document in (
        f"mutation {{ a: {HEAVE % '1'} b: {HEAVE % '2'} }}",
        f'mutation {{ {HEAVE % "1"} paint(colour: "red") {{ colour }} }}',
        f"mutation {{ ...A }} fragment A on Mutation {{ {HEAVE % '1'} b: {HEAVE % '2'} }}",
        f"mutation {{ a: {HEAVE % '1'} ... on Mutation {{ b: {HEAVE % '2'} }} }}",
    ):
        data, errors = run(document)
        assert data is None
        assert code_of(errors) == "BAD_REQUEST"
    assert small_schema.mutable_calls == []
    passes(f"mutation {{ __typename {HEAVE % '3'} }}")
    assert small_schema.mutable_calls == ["3"]


def test_other_mutations_may_stand_together() -> None:
    small_schema.mutable_calls.clear()
    passes('mutation { a: paint(colour: "red") { __typename } b: paint(colour: "blue") { __typename } }')
    assert small_schema.mutable_calls == ["red", "blue"]


def test_at_most_five_errors_come_back() -> None:
    _, errors = run("{ " + " ".join(f"unknown{n}" for n in range(9)) + " }")
    assert len(errors) == 5
    _, errors = run("{ " + " ".join(f'a{n}: fail(how: "bug")' for n in range(9)) + " }")
    assert len(errors) == 5


@pytest.mark.parametrize(
    "document",
    [
        "{ pebbel { number } }",
        "{ pebble { numbr } }",
        "{ pebble(numbr: 1) { number } }",
        "query Q($n: Imt) { pebble(number: $n) { number } }",
        "{ ... on Pebbel { number } }",
        "{ pebble { number @inclued(if: true) } }",
        "{ pebble }",
        '{ echo(money: {amunt: "1", currency: "CNY"}) { amount } }',
        "{ pebble { ...A } }",
    ],
)
def test_no_typo_is_answered_with_a_hint(document: str) -> None:
    data, errors = run(document)
    assert data is None
    assert errors
    assert "did you mean" not in str(errors).lower()


def test_a_typo_in_a_variable_is_answered_without_a_hint() -> None:
    _, errors = run(
        "query Q($money: MoneyInput!) { echo(money: $money) { amount } }", money={"amunt": "1", "currency": "CNY"}
    )
    assert "did you mean" not in str(errors).lower()


INTROSPECTION = "{ __schema { types { fields { type { ofType { ofType { ofType { ofType { name } } } } } } } } }"


def test_introspection_is_open_in_a_sandbox_and_closed_in_production(settings: object) -> None:
    settings.SUPERAPP_SANDBOX = True  # type: ignore[attr-defined]
    passes(INTROSPECTION)
    settings.SUPERAPP_SANDBOX = False  # type: ignore[attr-defined]
    for document in (INTROSPECTION, '{ __type(name: "Query") { name } }'):
        data, errors = run(document)
        assert data is None
        assert {error["extensions"]["code"] for error in errors} == {"BAD_REQUEST"}
    passes("{ __typename pebble { __typename } }")


def test_only_introspection_may_go_deeper() -> None:
    is_too_expensive("{ __schema: pebble " + "{ self " * 8 + "{ number }" + " }" * 9)


def test_a_document_is_decided_once(monkeypatch: pytest.MonkeyPatch) -> None:
    documents.forget()
    decided: list[str] = []
    decide = documents._decide

    def counting(schema: object, text: str, **rest: bool) -> documents.Prepared:
        decided.append(text)
        return decide(schema, text, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(documents, "_decide", counting)
    for number in range(3):
        data, _ = run("query Q($n: Int!) { pebble(number: $n) { number } }", n=number)
        assert data["pebble"]["number"] == number
        run("{ unknown }")
    assert len(decided) == 2


def test_mutations_that_carry_their_input_in_the_text_are_not_remembered() -> None:
    documents.forget()
    run(f"mutation {{ {HEAVE % '123456'} }}")
    assert documents.remembered() == 0


def test_the_memory_of_documents_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    documents.forget()
    monkeypatch.setattr(documents, "REMEMBERED", 3)
    for number in range(9):
        run(f"{{ pebble(number: {number}) {{ number }} }}")
    assert documents.remembered() == 3
