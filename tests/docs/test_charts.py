"""What the documentation draws from the code agrees with the code."""

import importlib
import re
import subprocess
import sys

import grimp
import pytest

from config import charts, rule_index
from tests.docs.readme import ROOT

importlib.import_module("config.urls")
"""The doors import whatever else declares a rule."""


def test_drawn_pages_agree_with_the_code() -> None:
    """In a process of its own: other tests may have declared kinds and policies in this one."""
    compared = subprocess.run(
        [sys.executable, "manage.py", "charts", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert compared.returncode == 0, compared.stderr


def test_imports_run_one_way_as_the_picture_shows() -> None:
    graph = grimp.build_graph(*charts.APPS, cache_dir=None)
    assert {app: charts.imports_of(graph, app) for app in charts.APPS} == {
        "config": {"payments", "funds", "wallet", "superapp"},
        "payments": {"wallet", "superapp"},
        "funds": {"wallet", "superapp"},
        "wallet": {"superapp"},
        "superapp": set(),
    }
    picture = (ROOT / "docs" / "picture.svg").read_text()
    heights = {
        app: int(y)
        for y, app in re.findall(r'<text class="h" x="\d+" y="(\d+)">(\w+)</text>', picture)
        if app in charts.APPS
    }
    assert heights["config"] < heights["payments"] == heights["funds"] < heights["wallet"] < heights["superapp"]


@pytest.fixture(scope="module")
def posted() -> rule_index.Uses:
    return rule_index.uses_of_kinds()


@pytest.fixture(scope="module")
def named() -> rule_index.Uses:
    return rule_index.uses_of_names()


@pytest.mark.parametrize("rule", rule_index.kinds(), ids=lambda rule: rule.code)
def test_every_kind_of_entry_is_posted_somewhere(rule: rule_index.Rule, posted: rule_index.Uses) -> None:
    assert posted.of(rule), "nothing hands it to the ledger"


@pytest.mark.parametrize("rule", [*rule_index.refusals(), *rule_index.dated_policies()], ids=lambda rule: rule.code)
def test_every_refusal_and_every_policy_is_used(rule: rule_index.Rule, named: rule_index.Uses) -> None:
    assert named.of(rule), "nothing raises or asks it"


def test_every_invariant_is_looked_for_somewhere() -> None:
    looked_for = rule_index.uses_of_invariants()
    assert all(looked_for.of(rule) for rule in rule_index.invariants())
