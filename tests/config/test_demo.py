"""The story of `make demo` is told to its end, and leaves nothing behind."""

import re
import subprocess
import sys
from decimal import Decimal

import pytest

from config.demo import sandbox, stage
from tests.databases import CHECKOUT


@pytest.mark.processes
def test_the_story_is_told_on_a_fresh_sandbox_and_nothing_of_it_stays() -> None:
    told = subprocess.run(
        [sys.executable, "manage.py", "demo"],
        cwd=CHECKOUT,
        env={**sandbox.environment(), "COLUMNS": "120", "SUPERAPP_LOCAL_DIR": ""},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    said = " ".join(told.stdout.split())

    assert told.returncode == 0, told.stdout + told.stderr
    assert "the same transfer, now SETTLED" in said
    assert "INSUFFICIENT_FUNDS: Only 500.00 CNY is available" in said
    assert "10,013.39 CNY, 13.39 of it earned" in said
    assert re.search(r"verify_ledger: \d+ checks over \d+ postings, no rows that break one", said)
    assert not sandbox.FOLDER.exists()


def test_a_chart_runs_from_the_least_to_the_most_and_is_flat_when_nothing_moves() -> None:
    assert stage.bars([Decimal(1), Decimal("4.5"), Decimal(8)]) == "▁▄█"
    assert stage.bars([Decimal(2), Decimal(2)]) == "▁▁"
