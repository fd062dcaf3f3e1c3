"""Which requests pass by the middleware of cookies and pages."""

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from superapp.by_token import AuthenticationMiddleware, MessageMiddleware, SessionMiddleware


def what_is_tied_to(request: HttpRequest) -> set[str]:
    def view(_request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    site = SessionMiddleware(AuthenticationMiddleware(MessageMiddleware(view)))
    assert site(request).status_code == 200
    return {name for name in ("session", "user", "_messages") if hasattr(request, name)}


def test_a_tokens_request_of_the_api_is_tied_to_no_cookie() -> None:
    request = RequestFactory().post("/graphql/", headers={"X-Session-Token": "any", "Cookie": "sessionid=abcdefgh"})
    assert what_is_tied_to(request) == set()


@pytest.mark.parametrize(
    "request_",
    [
        RequestFactory().post("/graphql/"),
        RequestFactory().get("/graphql/", headers={"X-Session-Token": "any"}),
        RequestFactory().post("/admin/", headers={"X-Session-Token": "any"}),
        RequestFactory().post("/graphql/sandbox-sign-in/", headers={"X-Session-Token": "any"}),
    ],
    ids=["no token", "GraphiQL", "a page", "a sign-in"],
)
def test_any_other_request_has_a_session_a_person_and_messages(request_: HttpRequest) -> None:
    assert what_is_tied_to(request_) == {"session", "user", "_messages"}
