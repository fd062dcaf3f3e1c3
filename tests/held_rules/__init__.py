"""The test that holds each rule: a list, and the proof that each test named there fails once its rule is taken away.

    python -m tests.held_rules                       every rule; a line each, exit code 1 if any test passes without its rule
    python -m tests.held_rules PIN_LOCKED I3         some by name

`held.toml` names one test for every kind of entry, refusal, policy and invariant; docs/rules.md shows it beside the code.
`test_held_rules.py` keeps the list from rotting; `breaking.py` takes a rule away without touching a file.
"""

import tomllib
from pathlib import Path

LIST = Path(__file__).parent / "held.toml"


def held() -> dict[str, dict[str, str]]:
    """By table (entries, refusals, policies, invariants) and code, the test as pytest names it."""
    return tomllib.loads(LIST.read_text())
