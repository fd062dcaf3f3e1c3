"""The list of rules and the tests that hold them does not rot; that each is missed is shown by `python -m tests.held_rules`."""

import importlib
import re
import subprocess
import sys

import pytest

from config import rule_index
from tests.databases import CHECKOUT
from tests.held_rules import breaking, held

importlib.import_module("config.urls")
"""The doors import whatever else declares a rule."""

RULES = {
    "entries": rule_index.kinds,
    "refusals": rule_index.refusals,
    "policies": rule_index.dated_policies,
    "invariants": rule_index.invariants,
}


@pytest.mark.parametrize("table", RULES)
def test_every_rule_names_its_test_and_no_other_does(table: str) -> None:
    assert set(held()[table]) == {rule.code for rule in RULES[table]()}


def test_every_trigger_of_the_database_names_its_test() -> None:
    assert set(rule_index.tests_of_triggers()) == set(rule_index.triggers())


def test_the_tests_that_are_named_are_there() -> None:
    for rules in [*held().values(), rule_index.tests_of_triggers()]:
        for code, named in rules.items():
            file, _, name = named.partition("::")
            function, _, _ = name.partition("[")
            assert re.search(rf"^def {re.escape(function)}\(", (CHECKOUT / file).read_text(), re.MULTILINE), code


def test_the_cases_that_are_named_are_there() -> None:
    cases = [named for rules in held().values() for named in rules.values() if named.endswith("]")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "--no-header", "-p", "no:cacheprovider", *cases],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(cases) <= set(done.stdout.splitlines())


@pytest.mark.parametrize("rule", rule_index.refusals(), ids=lambda rule: rule.code)
def test_a_refusal_is_taken_away_by_the_names_it_has_in_code(rule: rule_index.Rule) -> None:
    assert breaking.names_of_refusal(rule.code) == rule.anchors
