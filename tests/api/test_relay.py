"""Node ids and pages: what is not the viewer's is answered as if it did not exist, and no page skips or repeats."""

import base64
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superapp.errors import NotFound
from superapp.graphql.errors import ApiError
from superapp.graphql.relay import Cursors, from_queryset, key_of, node_id, page_of, read_node_id
from superapp.models import CalendarDay, User
from tests.api.queries import count_queries
from tests.api.small_schema import PEBBLES, code_of, pebbles_have_ids, run
from tests.factories import a_person

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _pebbles() -> Iterator[None]:
    with pebbles_have_ids():
        yield


def pebble_id(number: int) -> str:
    return str(node_id("Pebble", UUID(int=number)))


NODE = "query N($id: ID!) { node(id: $id) { id __typename } }"
NODES = "query N($ids: [ID!]!) { nodes(ids: $ids) { id } }"


def test_an_object_is_read_again_by_its_id() -> None:
    data, errors = run(NODE, id=pebble_id(3))
    assert not errors
    assert data["node"] == {"id": pebble_id(3), "__typename": "Pebble"}


NO_IDS = [
    "",
    "x",
    "=",
    "Pebble:3",
    pebble_id(3) + "=",
    pebble_id(3).rstrip("="),
    " " + pebble_id(3),
    "é",
    "\U0001f600",
    base64.b64encode(b"Pebble:3").decode(),
    base64.b64encode(b"Pebble:" + str(uuid.UUID(int=3)).upper().encode() + b" ").decode(),
    base64.b64encode(b"Pebble:{" + str(uuid.UUID(int=3)).encode() + b"}").decode(),
    base64.b64encode(b"Pebble:" + uuid.UUID(int=3).hex.encode()).decode(),
    base64.b64encode(b"\xff\xfe").decode(),
    str(node_id("Boulder", UUID(int=3))),
    str(node_id("pebble", UUID(int=3))),
    str(node_id("", UUID(int=3))),
    "A" * 10_000,
]


@pytest.mark.parametrize("value", [*NO_IDS, pebble_id(PEBBLES), pebble_id(11)], ids=lambda value: value[:24])
def test_absent_foreign_mistyped_and_malformed_ids_are_answered_alike(value: str) -> None:
    data, errors = run(NODE, id=value)
    assert not errors
    assert data == {"node": None}


def test_what_one_viewer_may_see_another_may_not() -> None:
    data, _ = run(NODE, user=a_person(), id=pebble_id(11))
    assert data["node"]["id"] == pebble_id(11)


def test_nodes_keep_their_order_and_places() -> None:
    data, errors = run(NODES, ids=[pebble_id(2), "x", pebble_id(999), pebble_id(1), pebble_id(2)])
    assert not errors
    assert [node and node["id"] for node in data["nodes"]] == [pebble_id(2), None, None, pebble_id(1), pebble_id(2)]


def test_a_hundred_ids_pass_and_one_more_does_not() -> None:
    data, errors = run(NODES, ids=[pebble_id(1)] * 100)
    assert not errors
    assert len(data["nodes"]) == 100
    _, errors = run(NODES, ids=[pebble_id(1)] * 101)
    assert code_of(errors) == "BAD_REQUEST"


def test_an_id_in_an_input_must_be_of_the_type_that_is_asked_for() -> None:
    assert key_of(pebble_id(3), "Pebble") == UUID(int=3)
    for value in ("", "x", str(node_id("Boulder", UUID(int=3)))):
        with pytest.raises(NotFound):
            key_of(value, "Pebble")


@given(st.text(max_size=60))
def test_no_text_breaks_the_reading_of_ids(text: str) -> None:
    assert read_node_id(text) is None or node_id(*read_node_id(text)) == text  # type: ignore[misc]


PAGE = """
query P($first: Int, $after: String, $last: Int, $before: String) {
  pebbles(first: $first, after: $after, last: $last, before: $before) {
    edges { cursor node { number } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}
"""


def page(**arguments: Any) -> tuple[list[int], dict[str, Any]]:
    data, errors = run(PAGE, **arguments)
    assert not errors
    return [edge["node"]["number"] for edge in data["pebbles"]["edges"]], data["pebbles"]["pageInfo"]


def test_a_page_has_twenty_items_unless_asked() -> None:
    numbers, info = page()
    assert numbers == list(range(20))
    assert (info["hasPreviousPage"], info["hasNextPage"]) == (False, True)


def test_pages_forward_cover_the_list_once() -> None:
    seen: list[int] = []
    cursor = None
    while True:
        numbers, info = page(first=100, after=cursor)
        seen += numbers
        assert info["hasPreviousPage"] is (cursor is not None)
        cursor = info["endCursor"]
        if not info["hasNextPage"]:
            break
    assert seen == list(range(PEBBLES))


def test_pages_backward_cover_the_list_once_each_in_the_lists_order() -> None:
    seen: list[int] = []
    cursor = None
    while True:
        numbers, info = page(last=100, before=cursor)
        seen = numbers + seen
        assert info["hasNextPage"] is (cursor is not None)
        cursor = info["startCursor"]
        if not info["hasPreviousPage"]:
            break
    assert seen == list(range(PEBBLES))


def test_an_empty_page_has_no_cursors() -> None:
    _, last = page(last=1)
    numbers, info = page(after=last["endCursor"])
    assert numbers == []
    assert info == {"hasNextPage": False, "hasPreviousPage": True, "startCursor": None, "endCursor": None}


@pytest.mark.parametrize("size", [1, 100])
def test_a_page_may_have_one_to_a_hundred_items(size: int) -> None:
    assert len(page(first=size)[0]) == size
    assert len(page(last=size)[0]) == size


@pytest.mark.parametrize("arguments", [{"first": 0}, {"first": 101}, {"last": 0}, {"last": 101}, {"first": -1}])
def test_no_page_is_larger_or_smaller(arguments: dict[str, Any]) -> None:
    _, errors = run(PAGE, **arguments)
    assert code_of(errors) == "BAD_REQUEST"


def test_first_and_last_do_not_go_together() -> None:
    _, errors = run(PAGE, first=1, last=1)
    assert code_of(errors) == "BAD_REQUEST"


OTHER = Cursors("boulders", (int,))


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "5",
        OTHER.write((5,)),
        Cursors("pebbles", (str,)).write(("5",)),
        Cursors("pebbles", (int, int)).write((5, 5)),
        base64.urlsafe_b64encode(b'["pebbles",true]').decode(),
        base64.urlsafe_b64encode(b'["pebbles", 5]').decode(),
        base64.urlsafe_b64encode(b'["pebbles",5.0]').decode(),
        base64.urlsafe_b64encode(b'["pebbles",' + b"9" * 30 + b"]").decode(),
        base64.urlsafe_b64encode(b"[" * 200).decode(),
        base64.urlsafe_b64encode(b"5").decode(),
        base64.urlsafe_b64encode(b"{}").decode(),
        base64.urlsafe_b64encode(b"\xff").decode(),
        "é",
        "A" * 10_000,
    ],
    ids=lambda cursor: cursor[:16],
)
def test_a_cursor_of_another_list_or_of_nobodys_making_is_refused(cursor: str) -> None:
    for name in ("after", "before"):
        arguments: dict[str, Any] = {name: cursor}
        data, errors = run(PAGE, **arguments)
        assert data is None
        assert code_of(errors) == "BAD_CURSOR"


ALL_TYPES = Cursors("all", (datetime, date, Decimal, int, UUID, str))


@given(
    st.tuples(
        st.datetimes(timezones=st.just(UTC)),
        st.dates(),
        st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**12), max_value=10**12),
        st.integers(min_value=-(2**63) + 1, max_value=2**63 - 1),
        st.uuids(),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=10),
    )
)
def test_every_sort_key_comes_back_from_its_cursor(key: tuple[Any, ...]) -> None:
    assert ALL_TYPES.read(ALL_TYPES.write(key)) == key


@given(st.text(max_size=80))
def test_no_text_breaks_the_reading_of_cursors(text: str) -> None:
    with pytest.raises(ApiError, match="does not belong to this list"):
        ALL_TYPES.read(text)


def test_a_queryset_is_read_by_keyset_in_one_query_a_page() -> None:
    days = Cursors("days", (str, date))
    start = date(2026, 1, 1)
    for offset in range(25):
        for calendar in ("bank", "exchange"):
            CalendarDay.objects.create(calendar=calendar, day=start + timedelta(days=offset), is_open=True, reason="x")
    expected = list(CalendarDay.objects.order_by("-calendar", "-day").values_list("pk", flat=True))
    for argument, cursor_of, boundary in (("first", "end_cursor", "after"), ("last", "start_cursor", "before")):
        seen: list[int] = []
        cursor: str | None = None
        while True:
            with count_queries() as queries:
                asked = page_of(days, **{argument: 7, boundary: cursor})  # type: ignore[arg-type]
                found = from_queryset(
                    asked, CalendarDay.objects.all(), order=("-calendar", "-day"), node=lambda row: row.pk
                )
            assert len(queries) == 1
            numbers = [edge.node for edge in found.edges]
            seen = seen + numbers if argument == "first" else numbers + seen
            cursor = getattr(found.page_info, cursor_of)
            if not (found.page_info.has_next_page if argument == "first" else found.page_info.has_previous_page):
                break
        assert seen == expected


def test_a_queryset_between_two_cursors_stays_between_them() -> None:
    people = Cursors("people", (UUID,))
    made = sorted(a_person().pk for _ in range(6))
    asked = page_of(people, first=10, after=people.write((made[1],)), before=people.write((made[4],)))
    found = from_queryset(asked, User.objects.all(), order=("id",), node=lambda user: user.pk)
    assert [edge.node for edge in found.edges] == made[2:4]


def test_a_keyset_goes_one_way() -> None:
    with pytest.raises(TypeError):
        from_queryset(page_of(OTHER), User.objects.all(), order=("-created_at", "id"), node=lambda user: user.pk)
