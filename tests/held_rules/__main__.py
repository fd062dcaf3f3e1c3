"""`python -m tests.held_rules`: takes each rule away, or those named, and says whether the test that holds it has noticed."""

import re
import subprocess
import sys
import time
from collections.abc import Sequence

from tests.databases import CHECKOUT
from tests.held_rules import held
from tests.held_rules.breaking import environment

FAILED = 1
"""What pytest ends with when a test failed; anything else (nothing collected, a usage error) proves nothing."""

LONGEST_SECONDS = 180


def main(names: Sequence[str]) -> int:
    """0 when every test passes with its rules and fails without each of them."""
    chosen = [
        (table, code, test)
        for table, rules in held().items()
        for code, test in rules.items()
        if not names or code in names
    ]
    unknown = set(names) - {code for _, code, _ in chosen}
    if unknown:
        sys.stderr.write(f"There is no rule named {', '.join(sorted(unknown))}: see docs/rules.md.\n")
        return 2
    ended, said = run(*dict.fromkeys(test for _, _, test in chosen))
    if ended:
        sys.stdout.write(f"The tests do not pass with all rules in place, so nothing can be shown:\n{said[-3000:]}\n")
        return 1
    unheld = [code for table, code, test in chosen if not _noticed(table, code, test)]
    sys.stdout.write(f"{len(chosen) - len(unheld)} of {len(chosen)} held{': ' if unheld else ''}{', '.join(unheld)}\n")
    return 1 if unheld else 0


def run(*tests: str, without: str = "") -> tuple[int, str]:
    """Runs tests, with all rules or without one; pytest's exit code and what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", "-p", "tests.held_rules.breaking",
         *tests],
        cwd=CHECKOUT,
        env=environment(without),
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS if without else None,
        check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def _noticed(table: str, code: str, test: str) -> bool:
    began = time.monotonic()
    ended, said = run(test, without=f"{table}:{code}")
    noticed = ended == FAILED and bool(re.search(r"^FAILED ", said, re.MULTILINE))
    sys.stdout.write(
        f"{code:<34} {time.monotonic() - began:5.1f} s  {'noticed' if noticed else 'NOT NOTICED'} by {test}\n"
    )
    if not noticed:
        sys.stdout.write(f"pytest ended with {ended}:\n{said[-3000:]}\n")
    sys.stdout.flush()
    return noticed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
