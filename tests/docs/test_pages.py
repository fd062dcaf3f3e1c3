"""Every page of the documentation: its links lead somewhere, its queries fit the schema, its commands are tried."""

import re
from pathlib import Path

import pytest
from graphql import parse, validate

import config.schema
from tests.docs.readme import ROOT

PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])

TRIED_BY = {"README.md": "test_readme.py", "docs/sign-in.md": "test_sign_in.py"}
"""The test that runs a page's console blocks. A page that gets some is entered here."""

DRILLED = {"sh", "ini"}
"""An operator's commands and settings, which `tests/faults/backups.py` reads from their page and carries out."""
DRILLED_PAGE = "docs/operations.md"

SHOWN = {"json", "text", "python", "sql"}
"""What is shown and not typed into a terminal: answers, layouts, excerpts of code."""

LINK = re.compile(r"\]\((?!https?://)([^)#]+)(?:#[^)]*)?\)")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_blocks_are_marked_and_queries_fit_the_schema(page: Path) -> None:
    for kind, text in BLOCK.findall(page.read_text()):
        assert kind in {"console", "graphql", *SHOWN, *DRILLED}, f"a block of kind {kind!r}"
        if kind == "graphql":
            assert validate(config.schema.schema._schema, parse(text)) == []
        if kind == "console":
            assert name(page) in TRIED_BY, "commands that no test runs"
        if kind in DRILLED:
            assert name(page) == DRILLED_PAGE, "commands that no drill carries out"


def test_pages_with_commands_are_read_by_their_test() -> None:
    for page, test in TRIED_BY.items():
        assert Path(page).name in (Path(__file__).parent / test).read_text()
    assert Path(DRILLED_PAGE).name in (ROOT / "tests/faults/backups.py").read_text()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_tests_that_are_named_exist(page: Path) -> None:
    """`test_...`: a page that says what proves a rule must not outlive it."""
    known = set(
        re.findall(r"^def (test_\w+)", "\n".join(f.read_text() for f in (ROOT / "tests").rglob("test_*.py")), re.M)
    )
    named = re.findall(r"`(?:tests/[\w./]+::)?(test_\w+)(?:\[[^`]*)?`", page.read_text())
    assert set(named) <= known


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_paths_that_are_named_exist(page: Path) -> None:
    """`wallet/ledger.py` and the like; a page that speaks of files must not outlive them."""
    for path in re.findall(
        r"`((?:config|superapp|wallet|payments|funds|tests|docs|requirements)/[\w./-]+)`", page.read_text()
    ):
        assert (ROOT / path).exists(), path
