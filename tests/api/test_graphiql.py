"""The page for trying the API: in a sandbox, without a network; in production it is not there."""

import json
import re

import pytest
from django.conf import LazySettings
from django.contrib.staticfiles import finders
from django.http import HttpResponse
from django.test import Client
from graphql import get_named_type, parse, validate

import config.schema
from superapp.graphql import graphiql
from superapp.graphql.documents import prepare
from tests.factories import a_person, an_operator

pytestmark = pytest.mark.django_db

URL = "/graphql/"
SIGN_IN = "/graphql/sandbox-sign-in/"
BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(autouse=True)
def _host(settings: LazySettings) -> None:
    settings.ALLOWED_HOSTS = ["testserver"]


def page(client: Client | None = None) -> HttpResponse:
    return (client or Client()).get(URL, headers=BROWSER)  # type: ignore[return-value]


def test_a_browser_gets_the_page_in_a_sandbox() -> None:
    response = page()
    assert response.status_code == 200
    assert "Nobody is signed in" in response.content.decode()
    assert "script-src 'self'" in response["Content-Security-Policy"]


def test_nothing_on_the_page_comes_from_elsewhere() -> None:
    text = page().content.decode()
    sources = re.findall(r'(?:src|href|action)="([^"]*)"', text)
    assert sources
    assert all(source.startswith("/") or source == "data:," for source in sources)
    for source in sources:
        if source.startswith("/static/"):
            assert finders.find(source.removeprefix("/static/")), source


def test_production_has_neither_page_nor_sign_in(settings: LazySettings) -> None:
    settings.SUPERAPP_SANDBOX = False
    assert page().status_code == 405
    assert Client().get(URL, headers={"accept": "text/html"}).status_code == 405
    assert Client().post(SIGN_IN, {"person": str(a_person().pk)}).status_code == 404


def test_one_click_takes_the_place_of_a_person() -> None:
    person = a_person("Anna Li")
    client = Client()
    response = client.post(SIGN_IN, {"person": str(person.pk)})
    assert response.status_code == 302
    assert "Signed in as <strong>Anna Li</strong>" in page(client).content.decode()
    asked = client.post(
        URL,
        json.dumps({"query": "{ viewer { displayName } }"}),
        "application/json",
        headers={"origin": "http://testserver"},
    )
    assert asked.json()["data"]["viewer"]["displayName"] == "Anna Li"
    client.post(SIGN_IN, {"person": ""})
    assert "Nobody is signed in" in page(client).content.decode()


def test_no_click_makes_an_operator() -> None:
    operator = an_operator()
    client = Client()
    assert client.post(SIGN_IN, {"person": str(operator.pk)}).status_code == 404
    assert client.post(SIGN_IN, {"person": "x"}).status_code == 404
    assert "Nobody is signed in" in page(client).content.decode()


def test_another_site_cannot_click() -> None:
    person = a_person()
    assert Client(enforce_csrf_checks=True).post(SIGN_IN, {"person": str(person.pk)}).status_code == 403


def test_a_name_cannot_write_into_the_page() -> None:
    a_person("<script>alert(1)</script>")
    assert b"<script>alert(1)" not in page().content


@pytest.mark.parametrize("example", graphiql.examples(), ids=lambda example: example.name)
def test_each_example_fits_the_schema(example: graphiql.Example) -> None:
    core = config.schema.schema._schema
    assert not validate(core, parse(example.query))
    prepared = prepare(core, example.query)
    assert not prepared.errors
    assert prepared.price is not None
    prepared.price.check({})
    assert example.title
    assert example.description
    variables = json.loads(example.variables or "{}")
    (operation,) = parse(example.query).definitions
    declared = {definition.variable.name.value for definition in operation.variable_definitions or ()}  # type: ignore[attr-defined]
    assert set(variables) <= declared
    assert get_named_type(core.query_type)
