"""docs/verification.md says of every invariant how many checks look at it, and where none does, why."""

import re
from collections import Counter

from tests.docs.readme import ROOT
from wallet.verification import all_checks

ROW = re.compile(r"^\| ([IS]\d+) \| (.+?) \| (\d+) \| (.*?) \| (.*?) \|$", re.MULTILINE)


def test_every_invariant_has_its_row_with_as_many_checks_as_there_are() -> None:
    rows = {number: (int(checks), left_out) for number, _, checks, _, left_out in ROW.findall(_page())}
    registered = Counter(check.invariant for check in all_checks())

    assert list(rows) == [*(f"I{number}" for number in range(1, 23)), "S1", "S2", "S3"]
    assert {number: checks for number, (checks, _) in rows.items() if checks} == dict(registered)
    assert all(left_out for checks, left_out in rows.values() if not checks)


def _page() -> str:
    return (ROOT / "docs" / "verification.md").read_text()
