"""Whatever is sent to the sign-in API or in a cookie: no answer is a fault, and nothing secret is logged."""

import json
import logging
from io import StringIO

import pytest
import structlog
from django.conf import settings
from django.core.cache import cache
from django.test import Client
from pytest_django.fixtures import Settings

from tests.factories import PASSWORD, an_operator

pytestmark = pytest.mark.django_db

HOST = {"host": "localhost"}


@pytest.fixture(autouse=True)
def _own_counts(settings: Settings) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "hostile"}}
    cache.clear()


BODIES = {
    "a number of 5,000 digits": b"1" * 5_000,
    "a phone of 5,000 digits": b'{"phone": ' + b"1" * 5_000 + b', "password": "x"}',
    "lists nested 30,000 deep": b"[" * 30_000,
    "objects nested 5,000 deep": b'{"a":' * 5_000,
    "a bare string": b'"phone"',
    "a list": b"[1]",
    "null": b"null",
    "bad UTF-8": b'{"phone": "\xff"}',
    "NaN": b'{"phone": NaN}',
    "half a surrogate pair as password": json.dumps({"phone": "+8613800000000", "password": "secret \ud800"}).encode(),
    "NUL in a password": json.dumps({"phone": "+8613800000000", "password": "secret \x00"}).encode(),
}


@pytest.mark.parametrize("path", ["auth/login", "auth/signup", "auth/password/request", "auth/phone/verify"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_that_makes_no_sense_is_refused(path: str, body: bytes) -> None:
    answer = Client(headers=HOST, raise_request_exception=False).generic(
        "POST", f"/_allauth/app/v1/{path}", body, "application/json"
    )
    assert answer.status_code in {400, 401, 409}


def test_a_body_of_ten_megabytes_is_not_read() -> None:
    body = b'{"phone": "' + b"1" * 10_000_000 + b'"}'
    answer = Client(headers=HOST, raise_request_exception=False).generic(
        "POST", "/_allauth/app/v1/auth/login", body, "application/json"
    )
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (413, "too_long")


@pytest.mark.parametrize("cookie", [r'"\000\000abcdefgh"', r'"abcdefgh\000"', "a" * 5_000, "abc-def ' OR 1=1", ""])
@pytest.mark.parametrize("path", ["/admin/", "/accounts/login/", "/_allauth/browser/v1/auth/session"])
def test_a_cookie_that_is_no_session_is_nobodys(path: str, cookie: str) -> None:
    answer = Client(headers={**HOST, "cookie": f"sessionid={cookie}"}, raise_request_exception=False).get(path)
    assert answer.status_code in {200, 302, 401}


def test_a_cookie_that_is_no_session_reads_as_nobody_in_graphql() -> None:
    answer = Client(headers={**HOST, "cookie": r'sessionid="abcdefgh\000"', "origin": "http://localhost"}).post(
        "/graphql/", {"query": "{ viewer { id } }"}, "application/json"
    )
    assert (answer.status_code, answer.json()) == (200, {"data": {"viewer": None}})


def test_a_session_of_ours_is_let_through() -> None:
    browser = Client(headers=HOST)
    browser.force_login(an_operator(password=PASSWORD))
    assert browser.get("/admin/").status_code == 200


@pytest.mark.parametrize("path", ["/admin/payments/transfer/", "/admin/funds/fund/", "/admin/superapp/run/"])
def test_nul_in_a_query_string_is_refused(path: str) -> None:
    browser = Client(headers=HOST, raise_request_exception=False)
    browser.force_login(an_operator(password=PASSWORD))
    assert browser.get(f"{path}?state__exact=%00").status_code == 400


@pytest.mark.parametrize("page", ["superapp/calendarday", "auth/group"])
def test_rows_of_the_office_are_not_deleted_by_made_up_keys(page: str) -> None:
    browser = Client(headers=HOST, raise_request_exception=False)
    browser.force_login(an_operator(password=PASSWORD))
    form = {"action": "delete_selected", "_selected_action": ["zzz"], "post": "yes"}
    assert browser.post(f"/admin/{page}/", form).status_code in {200, 302, 403}


def test_a_fault_is_logged_without_the_values_it_happened_with() -> None:
    out = StringIO()
    handler = logging.StreamHandler(out)
    formatter = settings.LOGGING["formatters"]["events"]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=formatter["foreign_pre_chain"], processors=formatter["processors"]
        )
    )
    logger = logging.getLogger("tests.faults.in.the.log")
    logger.propagate = False
    logger.addHandler(handler)

    secret = " ".join(["correct", "horse", "battery"])

    def check(password: str) -> None:
        raise ValueError("no good") from LookupError(len(password))

    try:
        check(secret)
    except ValueError:
        logger.exception("broken")
    logger.removeHandler(handler)

    assert "ValueError: no good" in out.getvalue()
    assert "in check" in out.getvalue()
    assert secret not in out.getvalue()
