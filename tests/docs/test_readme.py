"""The README is true: its tour, walked from top to bottom in a freshly seeded sandbox, answers what the page shows."""

import json
import re
import shlex
import shutil
import subprocess
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.test import Client
from pytest_django.fixtures import Settings

from config import sandbox_world
from superapp import clock
from superapp.graphql import graphiql
from superapp.models import User
from superapp.travel import travel
from tests.databases import TestDatabase
from tests.docs.readme import ROOT, Expect, RunCommand, RunExample, is_part_of, steps_of

README = ROOT / "README.md"
EXAMPLES = {example.name: example for example in graphiql.examples()}


def ask(browser: Client, name: str) -> Any:
    example = EXAMPLES[name]
    answer = browser.post(
        "/graphql/",
        {
            "query": example.query,
            "variables": json.loads(example.variables.replace("{{uuid}}", str(uuid4())) or "{}"),
        },
        content_type="application/json",
        headers={"origin": "http://testserver"},
    ).json()
    assert "errors" not in answer, answer
    return answer["data"]


def test_the_tour_answers_what_the_page_shows(
    committed_db: TestDatabase, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.ALLOWED_HOSTS = ["testserver"]
    sandbox_world.build()
    browser = Client()
    browser.force_login(User.objects.get(handle="lin"))
    answer: Any = None
    compared = 0
    for step in steps_of(README):
        match step:
            case RunExample(name):
                answer = ask(browser, name)
                travel(to=clock.now() + timedelta(seconds=5))  # the reader reads; bank and workers go on
            case Expect(data):
                assert is_part_of(data, answer), answer
                compared += 1
            case RunCommand(line) if "manage.py" in line:
                words = shlex.split(line)
                assert words[:2] == [".venv/bin/python", "manage.py"]
                call_command(*words[2:])
    assert compared == 6


def test_the_make_targets_that_the_page_names_exist() -> None:
    """What they do is tried where it can be: `make run` and `make demo` in tests/config; this suite is `make test`."""
    make = shutil.which("make")
    assert make
    targets = {
        step.line.removeprefix("make ")
        for step in steps_of(README)
        if isinstance(step, RunCommand) and step.line.startswith("make ")
    }
    assert targets == {"run", "demo", "test"}
    for target in targets | {"help"}:
        subprocess.run([make, "--dry-run", target], cwd=ROOT, check=True, capture_output=True)


def test_who_can_sign_in_is_said_as_it_is() -> None:
    text = README.read_text()
    for said in (sandbox_world.OPERATOR, sandbox_world.PASSWORD, *(person.name for person in sandbox_world.PEOPLE)):
        assert said in text
    assert re.search(rf"{sandbox_world.BEGINS_AT:%A, %-d %B %Y, %H:%M}", text)
