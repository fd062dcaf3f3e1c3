"""Finding someone to pay by phone number: little is told, not often, and only of those who agreed."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.conf import LazySettings
from django.core.cache import cache
from django.core.cache.backends.locmem import LocMemCache
from django.test import Client

from superapp import payees, rate_limits
from superapp.errors import RateLimited
from superapp.graphql.relay import node_id
from superapp.models import User
from superapp.rate_limits import Limit, count
from tests.factories import a_person, a_phone, an_operator, session_token_for

pytestmark = pytest.mark.django_db

_addresses = itertools.count(1)


NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _nothing_counted_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts of this test's own, which no other process empties, in a window that does not end while it runs."""
    monkeypatch.setattr(rate_limits, "cache", LocMemCache(str(uuid4()), {}))
    monkeypatch.setattr(rate_limits, "timezone", SimpleNamespace(now=lambda: NOON))


def an_address() -> str:
    return f"192.0.2.{next(_addresses)}"


def look_up(phone: str, *, asker: User | None = None) -> payees.Payee | None:
    return payees.find_by_phone(asker=asker or a_person(), address=an_address(), phone=phone)


def test_someone_is_found_by_a_number_in_any_way_of_writing_it() -> None:
    phone = a_phone()
    anna = a_person("Anna Li", phone=phone, handle="anna")
    for written in (phone, phone.removeprefix("+86"), f"{phone[:3]} {phone[3:7]}-{phone[7:]}"):
        assert look_up(written) == payees.Payee(id=anna.pk, masked_name="A*** L*", handle="anna")


def test_whoever_cannot_be_found_is_answered_alike() -> None:
    hidden, gone = a_person(), a_person()
    User.objects.filter(pk=hidden.pk).update(findable_by_phone=False)
    User.objects.filter(pk=gone.pk).update(is_active=False)
    operator = an_operator()
    User.objects.filter(pk=operator.pk).update(phone=a_phone())
    operator.refresh_from_db()
    for phone in (hidden.phone, gone.phone, operator.phone, a_phone(), "", "x", "1", "+" + "9" * 40):
        assert look_up(str(phone)) is None


@pytest.mark.parametrize(
    ("name", "masked"),
    [
        ("Anna Li", "A*** L*"),
        ("Al", "A*"),
        ("A", "A"),
        ("", ""),
        ("王小明", "*小明"),
        ("王明", "*明"),
        ("欧阳修文", "*阳修文"),
        ("王", "王"),
        ("Émile Zola Junior", "É*** Z*** J***"),
    ],
)
def test_a_name_is_masked(name: str, masked: str) -> None:
    assert payees.masked_name(name) == masked


def test_one_person_cannot_leaf_through_numbers() -> None:
    asker = a_person()
    for _ in range(30):
        look_up(a_phone(), asker=asker)
    with pytest.raises(RateLimited):
        look_up(a_phone(), asker=asker)
    assert look_up(str(a_person().phone)) is not None, "others are not held up"


def test_one_address_cannot_leaf_through_numbers_as_many_people() -> None:
    address = an_address()
    askers = [a_person() for _ in range(5)]
    for number in range(120):
        payees.find_by_phone(asker=askers[number % 5], address=address, phone="+8613700000000")
    with pytest.raises(RateLimited):
        payees.find_by_phone(asker=a_person(), address=address, phone="+8613700000000")


def test_a_limit_counts_each_subject_by_itself_and_says_when_it_ends() -> None:
    limit = Limit(name="test", most=2, window_seconds=3600)
    for _ in range(2):
        count(limit, "a")
        count(limit, "b")
    with pytest.raises(RateLimited) as refusal:
        count(limit, "a")
    assert refusal.value.retry_at == NOON + timedelta(hours=1)


def ask(phone: str, **headers: str) -> dict[str, Any]:
    body = {
        "query": "query P($phone: String!) { person(phone: $phone) { id displayName } }",
        "variables": {"phone": phone},
    }
    response = Client().post("/graphql/", json.dumps(body), "application/json", headers=headers)
    decoded: dict[str, Any] = response.json()
    return decoded


def test_the_sites_own_cache_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "cache", cache)
    count(Limit(name="test", most=1, window_seconds=3600), str(uuid4()))
    with pytest.raises(RateLimited):
        count(Limit(name="test", most=0, window_seconds=3600), str(uuid4()))


def test_over_the_api(settings: LazySettings) -> None:
    settings.ALLOWED_HOSTS = ["testserver"]
    asker, payee = a_person(), a_person("Anna Li")
    token = session_token_for(asker)
    found = ask(str(payee.phone), **{"X-Session-Token": token})
    assert found == {"data": {"person": {"id": node_id("Person", payee.pk), "displayName": "A*** L*"}}}
    nobody = ask(str(payee.phone))
    assert nobody["data"] == {"person": None}
    assert nobody["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    for _ in range(29):
        ask("x", **{"X-Session-Token": token})
    limited = ask("x", **{"X-Session-Token": token})
    assert limited["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
    assert limited["errors"][0]["extensions"]["retryAt"]
