"""The list of deliberate bugs does not rot: each still breaks what it says, and its tests are still there."""

import ast
import re

import pytest

from tests.databases import CHECKOUT
from tests.deliberate_bugs.bugs import BUGS, Bug

ENOUGH = 15


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_what_is_broken_is_there_once_and_is_valid_when_broken(bug: Bug) -> None:
    sound = (CHECKOUT / bug.file).read_text()
    assert sound.count(bug.was) == 1
    assert bug.becomes not in {bug.was, sound}
    if bug.file.endswith(".py"):
        ast.parse(sound.replace(bug.was, bug.becomes))


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_the_tests_that_should_notice_are_there(bug: Bug) -> None:
    assert bug.tests
    for named in bug.tests:
        file, _, name = named.partition("::")
        code = (CHECKOUT / file).read_text()
        assert not name or re.search(rf"^def {re.escape(name)}\(", code, re.MULTILINE), named


def test_there_are_enough_and_each_has_a_name_of_its_own() -> None:
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= ENOUGH
