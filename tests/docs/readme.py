"""Reads a page of the documentation as a sequence of steps: examples that are linked, commands, and what is answered."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

_STEP = re.compile(
    r"\]\(superapp/graphql/examples/(?P<example>[\w-]+)\.graphql\)"
    r"|^```console\n(?P<console>.*?)^```"
    r"|^```json\n(?P<json>.*?)^```",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class RunExample:
    """An example of GraphiQL that the page sends its reader to."""

    name: str


@dataclass(frozen=True)
class RunCommand:
    """A command that the page has its reader type."""

    line: str


@dataclass(frozen=True)
class Expect:
    """What the page says the last example answers: a part of it."""

    data: Any


def steps_of(page: Path) -> list[RunExample | RunCommand | Expect]:
    """The steps, in the order in which the page has them. A console block of the page holds commands only."""
    steps: list[RunExample | RunCommand | Expect] = []
    for found in _STEP.finditer(page.read_text()):
        if found["example"]:
            steps.append(RunExample(found["example"]))
        elif found["console"]:
            lines = found["console"].splitlines()
            assert all(line.startswith("$ ") for line in lines), lines
            steps += [RunCommand(line[2:]) for line in lines]
        else:
            steps.append(Expect(json.loads(found["json"])))
    return steps


def is_part_of(expected: Any, answer: Any) -> bool:
    """Whether `answer` says at least what `expected` says: objects may have more fields, lists are compared whole."""
    if isinstance(expected, dict):
        return isinstance(answer, dict) and all(
            key in answer and is_part_of(value, answer[key]) for key, value in expected.items()
        )
    if isinstance(expected, list):
        return (
            isinstance(answer, list)
            and len(expected) == len(answer)
            and all(is_part_of(one, other) for one, other in zip(expected, answer, strict=True))
        )
    return bool(expected == answer)
