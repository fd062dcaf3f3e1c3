"""Sign-up, sign-in and the second factor over the real endpoints."""

import logging
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as authenticators
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.contrib.auth.hashers import make_password
from django.core import mail
from django.core.cache import cache
from django.test import Client
from pytest_django.fixtures import Settings
from redis.exceptions import ConnectionError as CacheIsAway

from superapp import deliveries, sessions, sign_in
from superapp.models import User
from tests.factories import PASSWORD, a_person, a_phone, an_operator
from tests.superapp import app_client
from tests.superapp.app_client import BROWSER, SandboxLog, call, one_time_code, pending, request_with

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _authenticators_clock_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """A code is good for half a minute, and no test begins in one and ends in the next."""
    began = time.time()
    for module in (app_client, authenticators):
        monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: began))


@pytest.fixture(autouse=True)
def _own_counts(settings: Settings) -> Iterator[None]:
    """Attempts are counted in this process, from nothing; hashing is quick, its strength is not what is tried here."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "sign-in"}}
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def log() -> Iterator[SandboxLog]:
    """Where a sandbox shows its messages."""
    shown = SandboxLog()
    logger = logging.getLogger("superapp.deliveries")
    before = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(shown)
    yield shown
    logger.removeHandler(shown)
    logger.setLevel(before)


def sign_up(**given: str) -> tuple[int, dict[str, Any]]:
    return call("POST", "auth/signup", {"password": PASSWORD, "display_name": "Han Meimei", **given})


def sign_in_with(**given: str) -> tuple[int, dict[str, Any]]:
    return call("POST", "auth/login", {"password": PASSWORD, **given})


def token_after_sign_in(person: User) -> str:
    status, answer = sign_in_with(phone=str(person.phone))
    assert status == 200
    return str(answer["meta"]["session_token"])


# Signing up.


def test_a_person_signs_up_by_phone_with_the_code_from_the_log(log: SandboxLog) -> None:
    phone = "+8613812345678"

    status, answer = sign_up(phone="138 1234 5678", handle="Han_Mei")

    assert (status, pending(answer)) == (401, ["verify_phone"])
    waiting = answer["meta"]["session_token"]
    assert User.objects.get().phone is None
    with pytest.raises(sessions.Unauthenticated):
        sessions.person_of(request_with(waiting))

    status, answer = call("POST", "auth/phone/verify", {"code": log.code_for(phone)}, token=waiting)

    assert status == 200
    person = User.objects.get()
    assert (person.phone, person.pending_phone, person.email) == (phone, "", None)
    assert (person.display_name, person.handle) == ("Han Meimei", "han_mei")
    assert answer["data"]["user"]["phone"] == phone
    assert sessions.person_of(request_with(answer["meta"]["session_token"])) == person


def test_a_person_signs_up_by_e_mail_with_the_code_from_the_message() -> None:
    status, answer = sign_up(email="Han@Example.com")
    assert (status, pending(answer)) == (401, ["verify_email"])
    [message] = mail.outbox
    assert message.to == ["han@example.com"]
    code = next(word for word in message.body.split() if word.isdigit() and len(word) == 6)

    status, answer = call("POST", "auth/email/verify", {"key": code}, token=answer["meta"]["session_token"])

    assert status == 200
    person = User.objects.get()
    assert (person.email, person.phone) == ("han@example.com", None)
    assert EmailAddress.objects.get(user=person).verified
    assert sessions.person_of(request_with(answer["meta"]["session_token"])) == person


def test_a_wrong_code_gives_no_session_and_the_third_ends_the_sign_up(log: SandboxLog) -> None:
    phone = a_phone()
    _, answer = sign_up(phone=phone)
    waiting = answer["meta"]["session_token"]
    wrong = "000000" if log.code_for(phone) != "000000" else "111111"

    statuses = [call("POST", "auth/phone/verify", {"code": wrong}, token=waiting)[0] for _ in range(3)]
    late, _ = call("POST", "auth/phone/verify", {"code": log.code_for(phone)}, token=waiting)

    assert statuses == [400, 400, 400]
    assert late in {401, 409, 410}
    assert User.objects.get().phone is None


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({}, "phone_or_email"),
        ({"phone": "+8613811111111", "email": "a@example.com"}, "phone_or_email"),
        ({"phone": "12"}, "invalid_phone"),
        ({"phone": "+8613811111111", "display_name": "Li\u202eieL"}, "invalid_display_name"),
        ({"phone": "+8613811111111", "handle": "9lives"}, "invalid_handle"),
        ({"phone": "+8613811111111", "password": "short"}, "password_too_short"),
    ],
)
def test_a_sign_up_that_makes_no_sense_is_refused_by_code(given: dict[str, str], code: str) -> None:
    status, answer = sign_up(**given)

    assert status == 400
    assert code in [error["code"] for error in answer["errors"]]
    assert not User.objects.exists()


def test_a_handle_belongs_to_one_person() -> None:
    a_person(handle="lilei")

    status, answer = sign_up(phone=a_phone(), handle="LiLei")

    assert (status, answer["errors"][0]["code"]) == (400, "handle_taken")


def test_an_unconfirmed_sign_up_does_not_keep_the_owner_of_a_number_out(log: SandboxLog) -> None:
    phone = a_phone()
    _, squatter = sign_up(phone=phone, display_name="Squatter")
    squatters_code = log.code_for(phone)
    cache.clear()

    _, owner = sign_up(phone=phone)
    status, _ = call("POST", "auth/phone/verify", {"code": log.code_for(phone)}, token=owner["meta"]["session_token"])
    late, answer = call("POST", "auth/phone/verify", {"code": squatters_code}, token=squatter["meta"]["session_token"])

    assert status == 200
    assert (late, answer["errors"][0]["code"]) == (400, "phone_taken")
    assert User.objects.get(phone=phone).display_name == "Han Meimei"


def test_signing_up_with_a_known_number_or_address_looks_like_any_other_sign_up(log: SandboxLog) -> None:
    known = a_person(phone=a_phone(), email="known@example.com")

    for field, taken, free in [
        ("phone", str(known.phone), a_phone()),
        ("email", "known@example.com", "new@example.com"),
    ]:
        status, answer = sign_up(**{field: taken})
        cache.clear()
        other_status, other = sign_up(**{field: free})
        cache.clear()
        assert status == other_status == 401
        assert answer["data"] == other["data"]
        assert answer["meta"].keys() == other["meta"].keys()

    assert User.objects.count() == 3
    assert "already have" in log.to(str(known.phone))[-1]
    assert "already" in mail.outbox[0].body


def test_a_sign_up_with_a_known_number_takes_the_work_of_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    known = a_person()
    hashed: list[str] = []

    def counted(password: str) -> str:
        hashed.append(password)
        return make_password(password)

    monkeypatch.setattr(sign_in, "make_password", counted)

    sign_up(phone=str(known.phone))

    assert len(hashed) == 1


# Signing in.


@pytest.mark.parametrize("spaces", [False, True])
def test_a_person_signs_in_by_phone_however_it_is_written(spaces: bool) -> None:
    person = a_person(phone="+8613800001234", password=PASSWORD)

    status, answer = sign_in_with(phone="138 0000-1234" if spaces else "+8613800001234")

    assert status == 200
    assert sessions.person_of(request_with(answer["meta"]["session_token"])) == person


def test_a_person_signs_in_by_e_mail() -> None:
    person = a_person(email="lilei@example.com", password=PASSWORD)

    status, answer = sign_in_with(email="LiLei@example.com")

    assert status == 200
    assert sessions.person_of(request_with(answer["meta"]["session_token"])) == person


def test_a_wrong_password_and_an_unknown_number_are_answered_alike() -> None:
    person = a_person(password=PASSWORD)

    wrong = call("POST", "auth/login", {"phone": person.phone, "password": "something else"})
    unknown = call("POST", "auth/login", {"phone": a_phone(), "password": "something else"})

    assert wrong == unknown
    assert wrong[0] == 400
    assert [error["code"] for error in wrong[1]["errors"]] == ["phone_password_mismatch"]


def test_passwords_cannot_be_guessed_and_guessing_one_number_locks_out_no_other() -> None:
    victim, bystander = a_person(password=PASSWORD), a_person(password=PASSWORD)

    for _ in range(5):
        call("POST", "auth/login", {"phone": victim.phone, "password": "something else"})
    status, answer = sign_in_with(phone=str(victim.phone))
    other_status, _ = sign_in_with(phone=str(bystander.phone))

    assert (status, answer["errors"][0]["code"]) == (400, "too_many_login_attempts")
    assert other_status == 200


def test_writing_the_number_differently_gives_no_further_guesses() -> None:
    a_person(phone="+8613800001234", password=PASSWORD)

    for written in ["138 0000 1234", "1380000 1234", "+86 13800001234", "138-0000-1234", "13800001234"]:
        call("POST", "auth/login", {"phone": written, "password": "something else"})
    status, answer = sign_in_with(phone="+8613800001234")

    assert (status, answer["errors"][0]["code"]) == (400, "too_many_login_attempts")


def test_nobody_signs_in_while_attempts_cannot_be_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    person = a_person(password=PASSWORD)

    def away(*args: object, **kwargs: object) -> None:
        raise CacheIsAway

    monkeypatch.setattr("django.core.cache.backends.locmem.LocMemCache.add", away)

    status, answer = sign_in_with(phone=str(person.phone))

    assert (status, answer["errors"]) == (503, [{"code": "unavailable"}])


def test_a_text_message_that_cannot_be_sent_is_a_fault_to_be_tried_again(
    monkeypatch: pytest.MonkeyPatch, log: SandboxLog
) -> None:
    phone = a_phone()

    def fails(self: object, *, phone: str, text: str) -> None:
        raise deliveries.NotDelivered

    with monkeypatch.context() as broken:
        broken.setattr(deliveries.SandboxTextMessages, "send", fails)
        status, _ = sign_up(phone=phone)
    cache.clear()
    again, _ = sign_up(phone=phone)

    assert (status, again) == (503, 401)
    assert log.to(phone)


@pytest.mark.parametrize("known", [False, True])
def test_a_code_asked_for_again_too_soon_is_refused_whether_the_number_is_known_or_not(known: bool) -> None:
    phone = str(a_person().phone) if known else a_phone()

    first, _ = sign_up(phone=phone)
    second, answer = sign_up(phone=phone)

    assert (first, second) == (401, 429)
    assert answer == {"status": 429}


def test_an_e_mail_that_cannot_be_sent_is_a_fault_to_be_tried_again(settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1

    status, answer = sign_up(email="han@example.com")

    assert (status, answer["errors"]) == (503, [{"code": "unavailable"}])


# The second factor.


def turn_on_second_factor(person: User) -> str:
    """Sets up an authenticator over the API and gives its secret."""
    token = token_after_sign_in(person)
    status, answer = call("GET", "account/authenticators/totp", token=token)
    assert status == 404
    secret = str(answer["meta"]["secret"])
    status, _ = call("POST", "auth/reauthenticate", {"password": PASSWORD}, token=token)
    assert status == 200
    status, answer = call("POST", "account/authenticators/totp", {"code": one_time_code(secret)}, token=token)
    assert status == 200, answer
    return secret


def a_second_factor_of(person: User) -> str:
    """Gives someone a second factor without the calls that set it up."""
    secret = str(generate_totp_secret())
    TOTP.activate(person, secret)
    return secret


def test_turning_the_second_factor_on_asks_for_the_password_again() -> None:
    token = token_after_sign_in(person := a_person(password=PASSWORD))
    _, answer = call("GET", "account/authenticators/totp", token=token)

    status, _ = call(
        "POST", "account/authenticators/totp", {"code": one_time_code(answer["meta"]["secret"])}, token=token
    )

    assert status == 401
    assert not Authenticator.objects.filter(user=person).exists()


def test_until_the_second_factor_is_given_the_session_is_nobodys() -> None:
    person = a_person(password=PASSWORD)
    secret = turn_on_second_factor(person)
    cache.clear()  # an authenticator's code is good once, and this one was just used

    status, answer = sign_in_with(phone=str(person.phone))
    waiting = answer["meta"]["session_token"]

    assert (status, pending(answer)) == (401, ["mfa_authenticate"])
    with pytest.raises(sessions.Unauthenticated):
        sessions.person_of(request_with(waiting))

    status, answer = call("POST", "auth/2fa/authenticate", {"code": one_time_code(secret)}, token=waiting)

    assert status == 200
    assert sessions.person_of(request_with(answer["meta"].get("session_token", waiting))) == person


def test_the_second_factors_secret_cannot_be_read_in_the_database() -> None:
    person = a_person(password=PASSWORD)
    secret = turn_on_second_factor(person)

    stored = Authenticator.objects.get(user=person, type="totp").data["secret"]

    assert secret not in stored
    assert sign_in.SecondFactorAdapter().decrypt(stored) == secret


def test_a_recovery_code_stands_in_for_a_lost_authenticator() -> None:
    person = a_person(password=PASSWORD)
    turn_on_second_factor(person)
    cache.clear()
    _, answer = sign_in_with(phone=str(person.phone))
    waiting = answer["meta"]["session_token"]
    codes = Authenticator.objects.get(user=person, type="recovery_codes").wrap().get_unused_codes()

    status, _ = call("POST", "auth/2fa/authenticate", {"code": codes[0]}, token=waiting)

    assert status == 200


# Browsers.


def test_a_browser_signs_in_with_a_cookie_and_its_csrf_token() -> None:
    person = a_person(password=PASSWORD)
    browser = Client(enforce_csrf_checks=True)
    browser.get(BROWSER + "config")
    csrf = browser.cookies["csrftoken"].value
    credentials = {"phone": person.phone, "password": PASSWORD}

    refused = browser.post(BROWSER + "auth/login", credentials, content_type="application/json")
    signed_in = browser.post(
        BROWSER + "auth/login", credentials, content_type="application/json", headers={"X-CSRFToken": csrf}
    )

    assert refused.status_code == 403
    assert signed_in.status_code == 200
    assert "session_token" not in signed_in.json()["meta"]
    cookie = browser.cookies["sessionid"]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")


def test_the_pages_do_not_sign_anyone_up_and_nobody_but_operators_gets_into_the_back_office() -> None:
    person = a_person(password=PASSWORD)
    page = Client().get("/accounts/signup/")
    entrance = Client().get("/admin/", follow=True)
    visitor = Client()
    visitor.force_login(person)

    assert b"<form" not in page.content
    assert entrance.redirect_chain[-1][0].startswith("/accounts/login/?next=")
    assert visitor.get("/admin/login/").status_code == 403


# Operators.


def test_an_operator_gets_into_the_back_office_by_password_and_second_factor() -> None:
    operator = an_operator()
    secret = a_second_factor_of(operator)
    browser = Client()

    entrance = browser.get("/admin/superapp/user/", follow=True)
    page = entrance.redirect_chain[-1][0]
    half_way = browser.post(page, {"login": operator.email, "password": PASSWORD, "next": "/admin/superapp/user/"})
    before = browser.get("/admin/superapp/user/")
    done = browser.post(half_way["Location"], {"code": one_time_code(secret)})

    assert half_way["Location"].startswith("/accounts/2fa/authenticate/")
    assert before.status_code == 302
    assert done["Location"] == "/admin/superapp/user/"
    assert browser.get("/admin/superapp/user/").status_code == 200


def test_an_operator_made_on_the_command_line_confirms_the_address_at_the_first_sign_in() -> None:
    operator = User.objects.create_superuser(email="first@superapp.example", password=PASSWORD)
    browser = Client()

    answer = browser.post("/accounts/login/", {"login": operator.email, "password": PASSWORD})
    assert browser.get("/admin/").status_code == 302
    code = next(word for word in mail.outbox[0].body.split() if word.isdigit() and len(word) == 6)
    browser.post(answer["Location"], {"code": code})

    assert browser.get("/admin/").status_code == 200
