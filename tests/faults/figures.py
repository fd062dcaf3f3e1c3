"""Figures seen by the tests of faults, for docs/reliability.md: appended to the file that FAULT_FIGURES names, if it does.

No test passes or fails by a figure; what a test cannot wait for fails by its deadline.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def note(what: str, figure: float, unit: str) -> None:
    """Writes one line."""
    path = os.environ.get("FAULT_FIGURES")
    if path:
        with Path(path).open("a") as file:
            file.write(f"{what}: {figure:.2f} {unit}\n")


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Notes how long the block took."""
    began = time.monotonic()
    yield
    note(what, time.monotonic() - began, "s")
