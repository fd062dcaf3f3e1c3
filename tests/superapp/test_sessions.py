"""Whose request it is."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core.signing import Signer
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from superapp import sessions
from superapp.models import User
from tests.factories import a_person, session_token_for
from tests.superapp.app_client import call, request_with

pytestmark = pytest.mark.django_db


def test_a_good_token_is_its_person_in_one_query_and_writes_nothing() -> None:
    person = a_person()
    token = session_token_for(person)

    with CaptureQueriesContext(connection) as queries:
        found = sessions.person_of(request_with(token))

    assert found == person
    assert found is not None
    assert (found.phone, found.display_name) == (person.phone, person.display_name)
    assert [query["sql"].split()[0] for query in queries] == ["SELECT"]


def test_a_token_from_before_it_named_its_person_is_as_good() -> None:
    person = a_person()
    key = sessions._read_token(session_token_for(person))

    assert key is not None
    assert sessions.person_of(request_with(sessions._signer.sign(key[0]))) == person


def test_naming_somebody_else_in_a_token_makes_it_nobody_elses() -> None:
    person, other = a_person(), a_person()
    read = sessions._read_token(session_token_for(person))

    assert read is not None
    assert sessions.person_of(request_with(sessions._signer.sign(f"{read[0]}.{other.pk.hex}"))) == person


def test_a_rotated_secret_key_ends_no_session(settings: Settings) -> None:
    person = a_person()
    token = session_token_for(person)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another key, fifty characters long, for this test only"

    assert sessions.person_of(request_with(token)) == person


def test_what_a_request_reads_with_its_person_is_not_read_again_and_a_changed_policy_rules_at_once() -> None:
    from superapp import clock, policies
    from superapp.payees import LOOKUPS_OF_A_PERSON

    token = session_token_for(a_person())

    def request() -> tuple[int, int]:
        clock.forget()
        with CaptureQueriesContext(connection) as queries:
            sessions.person_of(request_with(token))
            value = LOOKUPS_OF_A_PERSON.now().value
        return value, len(queries)

    request()
    assert request() == (30, 1)
    policies.change(policy=LOOKUPS_OF_A_PERSON.name, value=7)
    assert request() == (7, 2)
    assert request() == (7, 1)


def test_a_request_with_neither_token_nor_cookie_is_nobodys() -> None:
    assert sessions.person_of(request_with()) is None


@pytest.mark.parametrize("token", ["", "x", "a" * 32, "a" * 32 + ":forged", "x" * 100_000, "\x00", "令牌"])
def test_a_token_we_did_not_make_is_refused_without_a_query(token: str) -> None:
    request = request_with("placeholder")
    request.META["HTTP_X_SESSION_TOKEN"] = token

    with CaptureQueriesContext(connection) as queries, pytest.raises(sessions.Unauthenticated):
        sessions.person_of(request)

    assert not queries


def test_a_key_signed_for_something_else_is_no_token() -> None:
    key = session_token_for(a_person()).split(":")[0]

    with pytest.raises(sessions.Unauthenticated):
        sessions.person_of(request_with(Signer(salt="another purpose").sign(key)))


def test_the_key_in_a_browsers_cookie_is_no_token() -> None:
    browser = Client()
    browser.force_login(a_person())

    with pytest.raises(sessions.Unauthenticated):
        sessions.person_of(request_with(browser.cookies["sessionid"].value))


def test_a_bad_token_never_falls_back_to_the_cookies_person() -> None:
    request = request_with("forged")
    request.user = a_person()

    with pytest.raises(sessions.Unauthenticated):
        sessions.person_of(request)


def test_a_good_token_wins_over_the_cookies_person() -> None:
    owner, other = a_person(), a_person()
    request = request_with(session_token_for(owner))
    request.user = other

    assert sessions.person_of(request) == owner


def test_an_expired_session_is_over() -> None:
    token = session_token_for(a_person())
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))

    with pytest.raises(sessions.Unauthenticated):
        sessions.person_of(request_with(token))


def test_signing_out_ends_the_token() -> None:
    token = session_token_for(a_person())

    status, _ = call("DELETE", "auth/session", token=token)

    assert status == 401
    with pytest.raises(sessions.Unauthenticated):
        sessions.person_of(request_with(token))


def test_a_person_made_inactive_is_out_at_once() -> None:
    person = a_person()
    token = session_token_for(person)
    browser = Client()
    browser.force_login(person)

    User.objects.filter(pk=person.pk).update(is_active=False)

    with pytest.raises(sessions.Unauthenticated):
        sessions.person_of(request_with(token))
    assert browser.get("/_allauth/browser/v1/auth/session").status_code == 401


def test_a_changed_password_ends_every_session() -> None:
    person = a_person()
    token = session_token_for(person)

    person.set_password("another long password")
    person.save()

    with pytest.raises(sessions.Unauthenticated):
        sessions.person_of(request_with(token))


@pytest.mark.parametrize(
    ("origin", "matches"),
    [
        ("http://testserver", True),
        ("https://pay.example", True),
        ("https://m.pay.example", True),
        ("https://a.b.pay.example", True),
        ("https://testserver", False),
        ("http://testserver:8000", False),
        ("http://evil.example", False),
        ("https://evilpay.example", False),
        ("http://m.pay.example", False),
        ("https://pay.example.evil.example", False),
        ("http://testserver.evil.example", False),
        ("null", False),
        ("", False),
        ("https://[", False),
        (None, False),
    ],
)
def test_a_cookie_counts_only_for_requests_that_come_from_our_own_pages(
    origin: str | None, matches: bool, settings: Settings
) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://pay.example", "https://*.pay.example"]
    headers: dict[str, Any] = {} if origin is None else {"Origin": origin}

    assert sessions.origin_matches(request_with(**headers)) is matches
