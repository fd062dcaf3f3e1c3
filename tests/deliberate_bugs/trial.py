"""Tries a bug: breaks a copy of the checkout, runs the tests that should notice, and mends the copy."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from config.engines.home import home
from tests.databases import CHECKOUT
from tests.deliberate_bugs.bugs import Bug

PASSED, FAILED = 0, 1
"""What pytest ends with; anything else (nothing collected, a usage error) proves nothing."""

LONGEST_SECONDS = 420

LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".local", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", "__pycache__"
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one bug. `caught_by`: the first test that failed; None when none did."""

    bug: str
    caught_by: str | None
    seconds: float
    said: str = ""
    """The end of what the tests said, when they said something that proves nothing."""


@contextmanager
def a_copy() -> Iterator[Path]:
    """A copy of the checkout's files, with the same environment and engines; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="superapp-bugs-") as folder:
        copy = Path(folder) / "checkout"
        shutil.copytree(CHECKOUT, copy, ignore=LEFT_OUT)
        yield copy


def apply(bug: Bug, root: Path) -> str:
    """Breaks the file, and answers with what it was. Raises ValueError unless the text to break is there exactly once."""
    path = root / bug.file
    sound = path.read_text()
    if sound.count(bug.was) != 1:
        raise ValueError(f"{bug.name}: {bug.file} has the text to break {sound.count(bug.was)} times, not once.")
    path.write_text(sound.replace(bug.was, bug.becomes))
    return sound


def try_bug(bug: Bug, copy: Path) -> Verdict:
    """Breaks the copy, runs the bug's tests until the first fails, and mends the copy."""
    began = time.monotonic()
    sound = apply(bug, copy)
    try:
        ended, said = run(bug.tests, copy)
    finally:
        (copy / bug.file).write_text(sound)
    seconds = time.monotonic() - began
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", said, re.MULTILINE)
    if ended == FAILED and failed:
        return Verdict(bug=bug.name, caught_by=failed[1], seconds=seconds)
    return Verdict(bug=bug.name, caught_by=None, seconds=seconds, said="" if ended == PASSED else said[-1500:])


def run(tests: tuple[str, ...], copy: Path) -> tuple[int, str]:
    """Runs tests in the copy; pytest's exit code and what it said."""
    environment = {**os.environ, "SUPERAPP_LOCAL_DIR": str(home().folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "-rfE", "--no-header", "-p", "no:cacheprovider", *tests],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr
