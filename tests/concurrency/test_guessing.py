"""Guessing, and being let in, by many at once: what is counted is counted before the look, in one step."""

from collections import Counter
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from redis.exceptions import ConnectionError as CacheAway

from superapp import clock, code_tries, rate_limits, sessions
from superapp.errors import RateLimited
from superapp.models import User
from tests.databases import TestDatabase
from tests.factories import PASSWORD, a_person, a_phone, session_token_for
from tests.interleaving import actors
from tests.many import at_once
from tests.superapp.app_client import call, request_with

GUESSES = 40


@pytest.fixture(autouse=True)
def _nothing_counted(committed_db: TestDatabase) -> None:
    cache.clear()


def sign_up_pending() -> str:
    """The token of a sign-up that waits for its code."""
    status, answer = call(
        "POST", "auth/signup", {"phone": a_phone(), "password": PASSWORD, "display_name": "Li Lei", "handle": "li_lei"}
    )
    assert status == 401
    token: str = answer["meta"]["session_token"]
    return token


def guess(token: str, number: int) -> int:
    return call("POST", "auth/phone/verify", {"code": f"{number:06d}"}, token=token)[0]


def test_of_many_guesses_at_a_code_at_once_no_more_are_looked_at_than_is_allowed() -> None:
    token = sign_up_pending()

    answers = at_once([partial(guess, token, number) for number in range(GUESSES)], threads=20)

    counted = Counter(answers)
    looked_at = GUESSES - counted[429]
    assert looked_at <= code_tries.TRIES.most, counted
    assert counted[429] >= GUESSES - code_tries.TRIES.most
    assert 200 not in counted
    assert not User.objects.filter(phone__isnull=False).exists()


def test_a_guess_beyond_the_limit_is_not_looked_at_even_when_it_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    token = sign_up_pending()
    key = sessions.key_of(token)
    assert key is not None
    for _ in range(code_tries.TRIES.most):
        rate_limits.count(code_tries.TRIES, key)
    compared: list[str] = []

    def compare(**codes: str) -> bool:
        compared.append(codes["actual"])
        return True

    monkeypatch.setattr("allauth.account.forms.compare_user_code", compare)
    assert guess(token, 0) == 429
    assert compared == []


@pytest.mark.parametrize("beside", ["no token", "another sign-up's"])
def test_a_token_beside_a_browsers_cookie_hides_none_of_its_guesses(beside: str) -> None:
    browser = Client()
    signing_up = {"phone": a_phone(), "password": PASSWORD, "display_name": "Han Mei", "handle": "han_mei"}
    assert browser.post("/_allauth/browser/v1/auth/signup", signing_up, "application/json").status_code == 401
    for _ in range(code_tries.TRIES.most):
        rate_limits.count(code_tries.TRIES, browser.cookies["sessionid"].value)
    token = sign_up_pending() if beside == "another sign-up's" else beside
    answer = browser.post(
        "/_allauth/browser/v1/auth/phone/verify",
        {"code": "000000"},
        "application/json",
        headers={"X-Session-Token": token},
    )
    assert answer.status_code == 429


def test_each_sign_up_has_tries_of_its_own() -> None:
    for _ in range(code_tries.TRIES.most):
        rate_limits.count(code_tries.TRIES, "another session's")
    assert guess(sign_up_pending(), 0) == 400


def test_no_code_is_looked_at_while_looks_cannot_be_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    token = sign_up_pending()

    def away(*_args: object) -> None:
        raise CacheAway

    monkeypatch.setattr(rate_limits, "count", away)
    assert guess(token, 0) == 503


def test_a_limit_is_never_overrun_by_many_at_once() -> None:
    limit = rate_limits.Limit(name="test.parallel", most=10, window_seconds=3_600)

    def count() -> str:
        rate_limits.count(limit, "someone")
        return "in"

    answers = at_once([count] * 100, threads=25)
    assert answers.count("in") == 10
    assert sum(isinstance(answer, RateLimited) for answer in answers) == 90


def test_moving_the_business_clock_neither_opens_nor_closes_a_limit() -> None:
    limit = rate_limits.Limit(name="test.travelled", most=1, window_seconds=3_600)
    rate_limits.count(limit, "someone")
    for jump in (timedelta(days=400), timedelta(hours=2)):
        with clock.stopped_at(clock.now() + jump), pytest.raises(RateLimited):
            rate_limits.count(limit, "someone")


def test_a_person_made_inactive_between_two_statements_of_a_request_is_out_for_the_next_one() -> None:
    """A request that has been let in is finished as what it was when it came; nobody is let in twice."""
    person = a_person()
    token = session_token_for(person)
    with actors(1) as (request,):
        request.begin(lambda: sessions.person_of(request_with(token)), stop_before="superapp_user")
        User.objects.filter(pk=person.pk).update(is_active=False)
        request.go_on()
        with pytest.raises(sessions.Unauthenticated):
            request.answer()
    with pytest.raises(sessions.Unauthenticated):
        sessions.person_of(request_with(token))


def test_signing_in_gives_the_browser_a_session_that_nobody_could_have_given_it() -> None:
    """Session fixation: the key a browser came with is not the one it is signed in by."""
    person = a_person(password=PASSWORD)
    planted = Client()
    planted.get("/_allauth/browser/v1/config")
    session = planted.session
    session["planted"] = True
    session.save()
    key = session.session_key
    status = planted.post(
        "/_allauth/browser/v1/auth/login", {"phone": person.phone, "password": PASSWORD}, "application/json"
    ).status_code
    assert status == 200
    assert planted.cookies["sessionid"].value != key

    thief = Client()
    thief.cookies["sessionid"] = str(key)
    assert thief.get("/_allauth/browser/v1/auth/session").status_code == 401


def test_a_new_password_ends_every_session_and_gives_the_one_that_set_it_a_new_token() -> None:
    person = a_person(password=PASSWORD)
    token = call("POST", "auth/login", {"phone": person.phone, "password": PASSWORD})[1]["meta"]["session_token"]
    other = session_token_for(person)

    asked: dict[str, Any] = {"current_password": PASSWORD, "new_password": "quartz lantern harbour"}
    status, answer = call("POST", "account/password/change", asked, token=token)

    assert status == 200
    with pytest.raises(sessions.Unauthenticated):
        sessions.person_of(request_with(other))
    assert sessions.person_of(request_with(answer["meta"]["session_token"])) == person


def test_a_session_signed_out_elsewhere_is_out_here() -> None:
    person = a_person(password=PASSWORD)
    tokens = [
        call("POST", "auth/login", {"phone": person.phone, "password": PASSWORD})[1]["meta"]["session_token"]
        for _ in "ab"
    ]
    answer = call("GET", "auth/sessions", token=tokens[0])[1]
    elsewhere = [session["id"] for session in answer["data"] if not session["is_current"]]
    assert call("DELETE", "auth/sessions", {"sessions": elsewhere}, token=tokens[0])[0] == 200
    assert sessions.person_of(request_with(tokens[0])) == person
    with pytest.raises(sessions.Unauthenticated):
        sessions.person_of(request_with(tokens[1]))
