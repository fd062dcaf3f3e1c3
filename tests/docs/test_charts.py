"""What the documentation draws from the code agrees with the code."""

import importlib
import re
import subprocess
import sys

import grimp
import pytest

from config import charts, rule_index
from tests.deliberate_bugs.bugs import BUGS
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


@pytest.fixture(scope="module")
def raised() -> rule_index.Uses:
    return rule_index.uses_of_refusals()


@pytest.mark.parametrize("rule", rule_index.dated_policies(), ids=lambda rule: rule.code)
def test_every_policy_is_asked_somewhere(rule: rule_index.Rule, named: rule_index.Uses) -> None:
    assert named.of(rule), "nothing asks it"


@pytest.mark.parametrize("rule", rule_index.refusals(), ids=lambda rule: rule.code)
def test_every_refusal_is_raised_somewhere(rule: rule_index.Rule, raised: rule_index.Uses) -> None:
    assert raised.of(rule), "nothing raises it"


def test_every_deliberate_bug_leads_from_its_rule_to_the_tests_that_notice() -> None:
    listed = [(bug.name, bug.breaks, bug.file, bug.tests) for bug in rule_index.bugs()]
    assert sorted(listed) == sorted((bug.name, bug.breaks, bug.file, bug.tests) for bug in BUGS)
    page = (ROOT / "docs" / "rules.md").read_text().splitlines()
    for bug in BUGS:
        (line,) = (line for line in page if line.endswith(f"| `{bug.name}` |"))
        assert bug.breaks in line
        assert all(f"(../{test.partition('::')[0]})" in line for test in bug.tests)


def test_who_raises_a_refusal_is_named_first_and_who_only_catches_it_not_at_all(raised: rule_index.Uses) -> None:
    places = {rule.code: raised.of(rule) for rule in rule_index.refusals()}
    assert places["RATE_LIMITED"] == ["superapp.rate_limits.count"], "outages knows another class of that name"
    assert "superapp.graphql.relay.key_of" in places["NOT_FOUND"]
    assert "payments.graphql.mutations._payee" in places["PAYEE_NOT_FOUND"]
    by_name, maker = map(
        places["ACCOUNT_FROZEN"].index, ["wallet.ledger._Writing._move", "wallet.freezes.account_frozen"]
    )
    assert by_name < maker, "one raises what the other makes"
    assert "wallet.credit_sets._refused" in places["ACCOUNT_CLOSED"], "it answers with the code"
    assert "wallet.admin.reversals._DecidedForm.clean" not in places["INSUFFICIENT_FUNDS"]
    assert not {"funds.yields._decimal", "wallet.admin.money_in._as_said"} & set(places["INVALID_AMOUNT"])


def test_every_invariant_is_looked_for_somewhere() -> None:
    looked_for = rule_index.uses_of_invariants()
    assert all(looked_for.of(rule) for rule in rule_index.invariants())
