"""The endpoint: GraphQL over HTTP to the letter, and whatever is sent instead of it."""

import json
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth import get_user_model
from django.db import OperationalError
from django.http import HttpResponse
from django.test import Client

from superapp import sessions
from tests.api.queries import costs_queries
from tests.factories import a_person, session_token_for

pytestmark = pytest.mark.django_db

URL = "/graphql/"
JSON = "application/json"
RESPONSE = "application/graphql-response+json"
ORIGIN = "http://testserver"


@pytest.fixture(autouse=True)
def _host(settings: LazySettings) -> None:
    settings.ALLOWED_HOSTS = ["testserver"]


def post(body: object, *, client: Client | None = None, content_type: str = JSON, **headers: str) -> HttpResponse:
    """One POST; `body` is sent as JSON unless it is bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return (client or Client()).generic("POST", URL, data, content_type, headers=named)  # type: ignore[return-value]


def answer(response: HttpResponse) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(response.content)
    return decoded


def code(response: HttpResponse) -> str:
    (error,) = answer(response)["errors"]
    return str(error["extensions"]["code"])


def test_a_query_is_answered_with_data_and_a_request_id() -> None:
    response = post({"query": "{ __typename }"})
    assert response.status_code == 200
    assert response["Content-Type"] == f"{JSON}; charset=utf-8"
    assert response["X-Request-Id"]
    assert response["Cache-Control"] == "no-store"
    assert answer(response) == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        (RESPONSE, RESPONSE),
        (f"{RESPONSE}, {JSON}", RESPONSE),
        (f"{RESPONSE};q=0.5, {JSON};q=0.9", JSON),
        (f"{RESPONSE}; charset=utf-8, {JSON}; charset=utf-8", RESPONSE),
        (f"text/html, {RESPONSE};q=0.1", RESPONSE),
        ("text/html, */*;q=0.1", JSON),
    ],
)
def test_the_answer_has_the_media_type_that_is_liked_best(accept: str, content_type: str) -> None:
    response = post({"query": "{ __typename }"}, accept=accept)
    assert response.status_code == 200
    assert response["Content-Type"] == f"{content_type}; charset=utf-8"


@pytest.mark.parametrize("accept", ["text/html", "text/event-stream", "multipart/mixed", f"{JSON};q=0", "nonsense", ""])
def test_a_client_that_takes_neither_media_type_is_refused(accept: str) -> None:
    assert post({"query": "{ __typename }"}, accept=accept).status_code == 406


@pytest.mark.parametrize("document", ["{", "{ unknown }", "query Q($x: Int!) { __typename node(id: $x) { id } }"])
def test_a_document_that_may_not_run_is_400_only_where_the_media_type_says_so(document: str) -> None:
    refused = post({"query": document}, accept=RESPONSE)
    assert refused.status_code == 400
    assert "data" not in answer(refused)
    told = post({"query": document}, accept=JSON)
    assert told.status_code == 200
    assert "data" not in answer(told)


def test_variables_that_do_not_fit_are_400() -> None:
    query = "query N($id: ID!) { node(id: $id) { id } }"
    refused = post({"query": query, "variables": {}}, accept=RESPONSE)
    assert refused.status_code == 400
    assert "data" not in answer(refused)


def test_a_field_that_fails_is_200_with_data() -> None:
    response = post({"query": '{ person(phone: "+8613800000000") { id } }'}, accept=RESPONSE)
    assert response.status_code == 200
    assert answer(response)["data"] == {"person": None}
    assert code(response) == "UNAUTHENTICATED"


def test_the_operation_name_must_be_that_of_the_operation() -> None:
    assert answer(post({"query": "query A { __typename }", "operationName": "A"}))["data"]
    assert answer(post({"query": "query A { __typename }", "operationName": ""}))["data"]
    wrong = post({"query": "query A { __typename }", "operationName": "B"}, accept=RESPONSE)
    assert wrong.status_code == 400
    assert code(wrong) == "BAD_REQUEST"


DEEP = 20_000
MALFORMED = {
    "a space": b" ",
    "a bare string": b'"{ __typename }"',
    "a number": b"1",
    "null": b"null",
    "true": b"true",
    "a list": b"[]",
    "a batch": b'[{"query": "{ __typename }"}]',
    "an empty object": b"{}",
    "half an object": b'{"query":',
    "two objects": b'{"query": "{ __typename }"} {}',
    "a query that is null": b'{"query": null}',
    "a query that is empty": b'{"query": ""}',
    "a query of spaces": b'{"query": "  "}',
    "a query that is a number": b'{"query": 1}',
    "a query that is a list": b'{"query": ["{ __typename }"]}',
    "variables that are a string": b'{"query": "{ __typename }", "variables": "{}"}',
    "variables that are a list": b'{"query": "{ __typename }", "variables": []}',
    "variables that are false": b'{"query": "{ __typename }", "variables": false}',
    "an operation name that is a number": b'{"query": "{ __typename }", "operationName": 0}',
    "extensions that are a list": b'{"query": "{ __typename }", "extensions": []}',
    "a number of 5,000 digits": b'{"query": "{ __typename }", "variables": {"n": ' + b"9" * 5_000 + b"}}",
    "a negative number of 5,000 digits": b'{"query": "{ __typename }", "variables": {"n": -' + b"9" * 5_000 + b"}}",
    "deep lists": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "deep variables": b'{"query": "{ __typename }", "variables": {"a": ' + b"[" * DEEP + b"]" * DEEP + b"}}",
    "bad UTF-8": b'{"query": "{ __typename }\xff"}',
    "bytes": bytes(range(256)),
    "UTF-16": '{"query": "{ __typename }"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"query": "{ __typename }"}',
    "NaN": b'{"query": "{ __typename }", "variables": {"n": NaN}}',
    "Infinity": b'{"query": "{ __typename }", "variables": {"n": -Infinity}}',
    "half a surrogate pair": b'{"query": "{ __typename }", "variables": {"n": "\\ud800"}}',
    "half a surrogate pair as a name": b'{"query": "{ __typename }", "variables": {"\\udfff": 1}}',
    "NUL in a variable": b'{"query": "{ __typename }", "variables": {"n": ["\\u0000"]}}',
    "NUL in the document": b'{"query": "{ __typename \\u0000}"}',
    "a form": b"query=%7B+__typename+%7D",
}


@pytest.mark.parametrize("accept", [JSON, RESPONSE])
@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_body_is_400_and_nothing_else(body: bytes, accept: str) -> None:
    response = post(body, accept=accept)
    assert response.status_code == 400
    assert response["Content-Type"].startswith(accept)
    assert code(response) == "BAD_REQUEST"


@pytest.mark.parametrize(
    ("document", "variables"),
    [
        ('{ node(id: "\\u0000") { id } }', {}),
        ('{ node(id: """\\u0000""") { id } }', {}),
        ("{ node(id: " + "[" * 400 + "]" * 400 + ") { id } }", {}),
        ("{ node(id: " + "{a: " * 300 + "1" + "}" * 300 + ") { id } }", {}),
        ("query N($id: ID!) { node(id: $id) { id } }", {"id": 10**400}),
        ("query N($id: ID!) { node(id: $id) { id } }", {"id": {"a": [1]}}),
        ("query N($id: " + "[" * 300 + "ID" + "]" * 300 + ") { __typename }", {}),
        ("query " + "x" * 60_000 + " { __typename }", {}),
        ("#" + "x" * 60_000 + "\n{ __typename }", {}),
        ("#\n" * 20_000 + "{ __typename }", {}),
        ("{ __typename " + "," * 60_000 + " }", {}),
        ("{ node(id: " + "9" * 5_000 + ") { id } }", {}),
        ("query Q($first: Int = " + "9" * 5_000 + ") { __typename }", {}),
        ("subscription { __typename }", {}),
        ("mutation { __typename }", {}),
        ("type Query { a: Int }", {}),
        ("{ __typename } type Query { a: Int }", {}),
        ("extend type Query { a: Int }", {}),
        ("query @skip(if: true) { __typename }", {}),
        ("{ ... @defer { __typename } }", {}),
    ],
    ids=lambda value: str(value)[:30],
)
def test_an_odd_document_is_never_a_5xx_nor_our_mistake(document: str, variables: dict[str, Any]) -> None:
    response = post({"query": document, "variables": variables}, accept=RESPONSE)
    assert response.status_code in {200, 400}
    assert "INTERNAL" not in response.content.decode()


def test_deep_variables_are_refused_wherever_they_go() -> None:
    for depth in (10, 100, 500, 900):
        value: object = "1"
        for _ in range(depth):
            value = [value]
        response = post(
            {"query": "query N($id: ID!) { node(id: $id) { id } }", "variables": {"id": value}}, accept=RESPONSE
        )
        assert response.status_code == 400


def test_no_body_at_all_is_400() -> None:
    assert Client().generic("POST", URL, CONTENT_TYPE=JSON).status_code == 400


def body_of(size: int) -> bytes:
    frame = b'{"query": "{ __typename }", "variables": {"filler": "%s"}}'
    return frame % (b"x" * (size - len(frame) + 2))


def test_64_kilobytes_pass_and_one_byte_more_does_not() -> None:
    assert post(body_of(65_536)).status_code == 200
    refused = post(body_of(65_537))
    assert refused.status_code == 413
    assert code(refused) == "TOO_EXPENSIVE"


def test_ten_megabytes_are_refused_unread() -> None:
    assert post(b"x" * 10_000_000).status_code == 413


def test_a_body_that_is_longer_than_it_says_is_cut_to_what_it_says() -> None:
    response = Client().generic("POST", URL, body_of(70_000), JSON, CONTENT_LENGTH="100")
    assert response.status_code == 400


MUTATION = 'mutation { openWallet(input: {currency: "CNY"}) { __typename } }'


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
def test_only_post_is_served(method: str) -> None:
    response = Client().generic(method, f"{URL}?query={MUTATION}", json.dumps({"query": MUTATION}), JSON)
    assert response.status_code == 405
    assert "POST" in response["Allow"]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded", b"query=mutation+%7B+__typename+%7D"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="query"\r\n\r\n{a}\r\n--x--\r\n',
        ),
        ("multipart/form-data", b""),
        ("text/plain", b'{"query": "mutation { __typename }"}'),
        ("application/graphql", b"mutation { __typename }"),
        ("application/graphql+json", b'{"query": "{ __typename }"}'),
        ("application/json; charset=utf-16", '{"query": "{ __typename }"}'.encode("utf-16")),
        ("application/json; charset=latin-1", b'{"query": "{ __typename }"}'),
        ("application/jsonx", b'{"query": "{ __typename }"}'),
        ("", b'{"query": "{ __typename }"}'),
        ("nonsense", b'{"query": "{ __typename }"}'),
    ],
)
def test_only_json_is_read(content_type: str, body: bytes) -> None:
    response = post(body, content_type=content_type)
    assert response.status_code == 415
    assert code(response) == "BAD_REQUEST"


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=UTF-8", 'application/json; charset="utf-8"', "Application/JSON"]
)
def test_json_in_utf_8_is_read_however_it_is_spelt(content_type: str) -> None:
    assert post({"query": "{ __typename }"}, content_type=content_type).status_code == 200


def test_a_compressed_body_is_refused() -> None:
    assert post(b"\x1f\x8b", content_encoding="gzip").status_code == 415


VIEWER = {"query": "{ viewer { id displayName } }"}


def test_nobody_is_nobody() -> None:
    assert answer(post(VIEWER)) == {"data": {"viewer": None}}


def test_a_token_needs_neither_cookie_nor_origin() -> None:
    person = a_person("Anna")
    response = post(VIEWER, client=Client(enforce_csrf_checks=True), x_session_token=session_token_for(person))
    assert answer(response)["data"]["viewer"]["displayName"] == "Anna"


def test_the_viewer_costs_no_query_beyond_knowing_who_asks() -> None:
    token = session_token_for(a_person())
    post(VIEWER, x_session_token=token)
    with costs_queries(2):
        post(VIEWER, x_session_token=token)


def test_nobody_costs_no_query() -> None:
    post(VIEWER)
    with costs_queries(0):
        post(VIEWER)


def test_a_bad_token_is_401_and_never_falls_back_to_the_cookie() -> None:
    client = Client()
    client.force_login(a_person(), backend="allauth.account.auth_backends.AuthenticationBackend")
    response = post(VIEWER, client=client, x_session_token="forged", origin=ORIGIN)
    assert response.status_code == 401
    assert code(response) == "UNAUTHENTICATED"


def test_a_person_who_was_deactivated_is_signed_out() -> None:
    person = a_person()
    token = session_token_for(person)
    get_user_model().objects.filter(pk=person.pk).update(is_active=False)
    assert post(VIEWER, x_session_token=token).status_code == 401


def test_a_cookie_session_counts_only_with_an_origin_of_ours() -> None:
    person = a_person("Anna")
    client = Client(enforce_csrf_checks=True)
    client.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert answer(post(VIEWER, client=client, origin=ORIGIN))["data"]["viewer"]["displayName"] == "Anna"
    for headers in (
        {},
        {"origin": "https://elsewhere.example"},
        {"origin": "null"},
        {"origin": "http://testserver:81"},
    ):
        response = post(VIEWER, client=client, **headers)
        assert response.status_code == 403
        assert code(response) == "FORBIDDEN"


def test_not_knowing_who_asks_is_503_and_leaks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_request: object) -> None:
        raise OperationalError("connection to 10.0.0.1 failed")

    monkeypatch.setattr(sessions, "person_of", away)
    response = post(VIEWER)
    assert response.status_code == 503
    assert code(response) == "UNAVAILABLE"
    assert b"10.0.0.1" not in response.content


@pytest.mark.parametrize("forged", ["a b", "x" * 65, '<script>"', "é"])
def test_a_request_id_is_never_what_a_client_cannot_be_trusted_with(forged: str) -> None:
    assert post(VIEWER, x_request_id=forged)["X-Request-Id"] != forged


def test_each_request_has_an_id_of_its_own() -> None:
    assert post(VIEWER)["X-Request-Id"] != post(VIEWER)["X-Request-Id"]


def test_text_of_any_script_comes_back_as_utf_8() -> None:
    person = a_person("王小明 🏃")
    response = post(VIEWER, x_session_token=session_token_for(person))
    assert "王小明 🏃".encode() in response.content


def test_the_view_does_not_keep_a_bug_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_request: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(sessions, "person_of", broken)
    with pytest.raises(ZeroDivisionError):
        post(VIEWER)
