"""What a site that runs as in production writes to its log while people, and others, use it; and what a scrape shows then.

One web server and one worker, real ones. Everything that must not be told is a word that occurs nowhere else, so that looking
for it in the log finds each leak.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from django.conf import settings
from prometheus_client.parser import text_string_to_metric_families

from superapp.graphql.relay import node_id
from superapp.models import Installation
from tests.databases import cloned
from tests.factories import a_payer, a_person, session_token_for
from tests.owners_hand import the_owners_hand
from tests.site import Site, a_site, answered
from tests.waiting import wait_until

PIN, WRONG_PIN = "860317", "940586"
PHONE, OTHER_PHONE = "+8613977553311", "+8613977664422"
PASSWORD, WRONG_PASSWORD = "quartz-lantern-93", "marble-thicket-58"
NOTE, HANDLE = "zwanzig Kirschkuchen", "wu_jing"
TYPED_PASSWORD, TYPED_TOKEN = "velvet-harbour-71", "tokenlike-hedgehog-64"
SCRAPE_TOKEN = "scrape-falcon-27"
SECRETS = (
    PIN, WRONG_PIN, PHONE, PHONE[1:], OTHER_PHONE, OTHER_PHONE[1:], PASSWORD, WRONG_PASSWORD, NOTE, "Kirschkuchen",
    TYPED_PASSWORD, TYPED_TOKEN, SCRAPE_TOKEN,
)  # fmt: skip

SEND = """
mutation Send($input: SendMoneyInput!) { sendMoney(input: $input) { __typename
  ... on SendMoneySuccess { transfer { id } } ... on UserError { code } } }
"""

Line = dict[str, Any]


@dataclass
class World:
    """The site, a payer's token, the payee's node id."""

    site: Site
    token: str
    payee: str
    payer_id: str

    def ask(self, body: object, **headers: str) -> httpx.Response:
        """One POST to the API, as the payer."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Content-Type": "application/json", "X-Session-Token": self.token, **headers}
        return answered(lambda: httpx.post(f"{self.site.url}/graphql/", content=content, headers=given, timeout=60))

    def send(self, **changed: object) -> httpx.Response:
        """Sends money."""
        asked = {
            "to": {"id": self.payee},
            "amount": {"amount": "1.25", "currency": "CNY"},
            "note": NOTE,
            "pin": PIN,
            "idempotencyKey": str(uuid4()),
        }
        return self.ask({"query": SEND, "variables": {"input": asked | changed}})

    def sign_in_api(self, path: str, body: bytes) -> httpx.Response:
        """One POST to the sign-in API of apps."""
        url = f"{self.site.url}/_allauth/app/v1/{path}"
        return answered(lambda: httpx.post(url, content=body, headers={"Content-Type": "application/json"}, timeout=60))

    def lines(self, *processes: str) -> list[Line]:
        """The log, line by line; each must be a JSON object, but for what the web server says of its own start."""
        told = [
            line for name in processes or ("web", "worker") for line in self.site.log(name).splitlines(keepends=True)
        ]
        whole = [line for line in told if line.endswith("\n")]  # the last one may be being written
        return [json.loads(line) for line in whole if not line.startswith("[WARNING] Configuration allows")]

    def of(self, answer: httpx.Response, *processes: str) -> list[Line]:
        """The lines of one request."""
        return [line for line in self.lines(*processes) if line.get("request_id") == answer.headers["X-Request-Id"]]


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("production")
    with django_db_blocker.unblock(), cloned() as database:
        payer = a_payer("100.00", pin=PIN, phone=PHONE, password=PASSWORD)
        payee = a_person("Wu Jing", phone=OTHER_PHONE, handle=HANDLE)
        with the_owners_hand():
            Installation.objects.update(mode="production", clock_offset=None)
        with a_site(database, folder) as site:
            site.environment |= _as_in_production(folder)
            site.start_web()
            site.start_worker(processes=1)
            yield World(site, session_token_for(payer), node_id("Person", payee.pk), str(payer.pk))


def _as_in_production(folder: Path) -> dict[str, str]:
    return {
        "SUPERAPP_MODE": "production",
        "SECRET_KEY": settings.SECRET_KEY,
        "PAYMENT_PIN_KEY": settings.PAYMENT_PIN_KEY,
        "ALLOWED_HOSTS": "127.0.0.1",
        "SECURE_SSL_REDIRECT": "false",
        "SMS_GATEWAY": "tests.superapp.silent_gateway.Silent",
        "METRICS_DIR": str(folder / "metrics"),
        "METRICS_TOKEN": SCRAPE_TOKEN,
        "PYTHONWARNINGS": "ignore",
    }


@pytest.mark.processes
def test_a_payment_can_be_followed_from_its_request_to_the_worker_that_settled_it(world: World) -> None:
    answer = world.send()
    assert answer.json()["data"]["sendMoney"]["__typename"] == "SendMoneySuccess", answer.text

    (line,) = world.of(answer, "web")
    assert (line["event"], line["request"], line["code"]) == ("request_finished", "POST graphql/", 200)
    assert line["person"] == world.payer_id
    assert len(line["entries"]) == 1, "the entry that debited the payer"

    settled = wait_until(lambda: world.of(answer, "worker"), what="the worker that heard of this request")
    assert (settled[0]["event"], settled[0]["task"]) == ("task_done", "payments.settle_due")
    assert settled[0]["task_id"]
    assert settled[0]["done"] >= 1


HOSTILE: dict[str, tuple[str, Any]] = {
    "a wrong PIN": ("PIN_WRONG", lambda w: w.send(pin=WRONG_PIN)),
    "a PIN of letters": ("PIN_WRONG", lambda w: w.send(pin=TYPED_PASSWORD)),
    "more than there is": ("INSUFFICIENT_FUNDS", lambda w: w.send(amount={"amount": "9000.00", "currency": "CNY"})),
    "a field that is not there": ("BAD_REQUEST", lambda w: w.send(password=TYPED_PASSWORD)),
    "an amount that is a note": ("INVALID_AMOUNT", lambda w: w.send(amount={"amount": NOTE, "currency": "CNY"})),
    "a PIN of the wrong type": ("BAD_REQUEST", lambda w: w.send(pin=[WRONG_PIN, {"token": TYPED_TOKEN}])),
    "a PIN in a document that cannot be read": (
        "BAD_REQUEST",
        lambda w: w.ask({"query": f'mutation {{ sendMoney(input: {{ pin: "{PIN}" note: "{NOTE}" '}),
    ),
    "a PIN in a document that does not fit": (
        "BAD_REQUEST",
        lambda w: w.ask(
            {"query": f'mutation {{ sendMoney(input: {{ pin: "{PIN}", to: "{OTHER_PHONE}" }}) {{ id }} }}'}
        ),
    ),
    "a body that is no JSON": ("BAD_REQUEST", lambda w: w.ask(f'{{"query": "{PIN} {NOTE}'.encode())),
    "a form": (
        "BAD_REQUEST",
        lambda w: w.ask(f"pin={PIN}&note={NOTE}".encode(), **{"Content-Type": "application/x-www-form-urlencoded"}),
    ),
    "a body that is too long": ("TOO_EXPENSIVE", lambda w: w.ask({"query": PIN * 20_000})),
    "a token that was not made here": (
        "UNAUTHENTICATED",
        lambda w: w.ask({"query": "{ viewer { id } }"}, **{"X-Session-Token": TYPED_TOKEN}),
    ),
    "a mutation by GET": (
        "BAD_REQUEST",
        lambda w: httpx.get(
            f"{w.site.url}/graphql/",
            params={
                "query": f'mutation {{ sendMoney(input: {{ pin: "{PIN}" }}) }}',
                "variables": f'{{"note": "{NOTE}"}}',
            },
        ),
    ),
}


@pytest.mark.processes
@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_refused_leaves_a_line_with_its_code(world: World, what: str) -> None:
    code, do = HOSTILE[what]
    lines = world.of(do(world), "web")
    refusals = [line for line in lines if line["event"] != "request_finished"]
    assert [line["code"] for line in refusals] == [code]
    assert [line["event"] for line in lines if line not in refusals] == ["request_finished"]


SIGNING_IN = {
    "a wrong password": (400, "auth/login", json.dumps({"phone": PHONE, "password": WRONG_PASSWORD}).encode()),
    "a number nobody has": (400, "auth/login", json.dumps({"phone": "+8613977000000", "password": PASSWORD}).encode()),
    "the right password": (200, "auth/login", json.dumps({"phone": PHONE, "password": PASSWORD}).encode()),
    "a body that is cut off": (400, "auth/login", f'{{"phone": "{PHONE}", "password": "{PASSWORD}'.encode()),
    "a sign-up": (
        401,
        "auth/signup",
        json.dumps({"phone": OTHER_PHONE, "password": TYPED_PASSWORD, "display_name": "X"}).encode(),
    ),
}


@pytest.mark.processes
@pytest.mark.parametrize("what", SIGNING_IN)
def test_signing_in_leaves_a_line_with_its_status_and_nothing_of_the_person(world: World, what: str) -> None:
    status, path, body = SIGNING_IN[what]
    before = len(world.lines("web"))
    assert world.sign_in_api(path, body).status_code == status
    written = world.lines("web")[before:]
    assert [line["code"] for line in written if line["event"] == "request_finished"] == [status]


@pytest.mark.processes
@pytest.mark.parametrize(
    "address",
    [
        f"/?pin={PIN}",
        f"/{PASSWORD}/{PHONE}",
        f"/accounts/password/reset/key/{TYPED_TOKEN}-{PASSWORD}/",
        f"/graphql/?query={NOTE}%00",
    ],
)
def test_an_address_is_told_as_its_route(world: World, address: str) -> None:
    before = len(world.lines("web"))
    answered(lambda: httpx.get(f"{world.site.url}{address}", timeout=60))
    (line,) = [line for line in world.lines("web")[before:] if line["event"] == "request_finished"]
    assert "?" not in line["request"]


@pytest.mark.processes
def test_a_scrape_shows_what_web_and_worker_did(world: World) -> None:
    answer = wait_until(lambda: _scrape_with_the_database(world), what="a scrape that had time for the database")
    assert answer.status_code == 200
    found = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert found["superapp_operation_seconds_count", "sendMoney"] >= 3
    assert found["superapp_refusals_total", "PIN_WRONG"] == 2
    assert found["superapp_refusals_total", "UNAUTHENTICATED"] == 1
    assert found["superapp_http_responses_total", "405", "graphql"] == 1
    assert found["superapp_doorbells_total", "rung"] >= 1
    assert found["superapp_task_seconds_count", "payments.settle_due", "success"] >= 1, "what the worker counted"
    assert found["superapp_pending", "authorised", "transfers"] == 0
    assert found["superapp_scrape_ok", "database"] == 1
    for name, *labels in found:
        assert not any(secret in label for label in labels for secret in SECRETS), (name, labels)
    assert answered(lambda: httpx.get(f"{world.site.url}/metrics", timeout=60)).status_code == 404


def _scrape_with_the_database(world: World) -> httpx.Response | None:
    """A scrape waits for its figures no longer than a second, and leaves out what was not there by then."""
    bearer = {"Authorization": f"Bearer {SCRAPE_TOKEN}"}
    answer = answered(lambda: httpx.get(f"{world.site.url}/metrics", headers=bearer, timeout=60))
    return answer if 'superapp_scrape_ok{source="database"} 1.0' in answer.text else None


@pytest.mark.processes
def test_no_line_of_all_this_holds_a_secret(world: World) -> None:
    """The last of this module: it reads what all the others have caused."""
    world.site.drain("web")  # a worker's last words are printed by Celery itself
    for line in world.lines():
        told = json.dumps(line, ensure_ascii=False)
        assert not [secret for secret in SECRETS if secret in told], line
        assert {"event", "level", "timestamp", "logger"} <= set(line), line
    assert len(world.lines("web")) > 30
