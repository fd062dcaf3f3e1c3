"""Runs the ```console blocks of a page of the documentation as one shell session and compares what they print."""

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

PAGES = Path(__file__).resolve().parents[2] / "docs"


@dataclass
class Command:
    """One command as the page has it."""

    line: str
    expected: list[str] = field(default_factory=list)
    """What the page says it prints."""


def commands_of(page: str) -> list[Command]:
    """The commands of a page, in order: `$ ` begins one, `> ` continues it, other lines are what it prints."""
    commands: list[Command] = []
    for block in re.findall(r"^```console\n(.*?)^```", (PAGES / page).read_text(), re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                commands.append(Command(line[2:]))
            elif line.startswith("> "):
                commands[-1].line += "\n" + line[2:]
            else:
                commands[-1].expected.append(line)
    return commands


def run(commands: list[Command], *, folder: Path, instead: Callable[[str], str]) -> None:
    """Runs them in one shell in `folder`. `instead` may put another command in a command's place just before it runs.

    Raises AssertionError for a command that fails or prints something else.
    """
    with subprocess.Popen(
        ["/bin/bash", "--noprofile", "--norc"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as shell:
        assert shell.stdin
        assert shell.stdout
        for command in commands:
            shell.stdin.write(f"{instead(command.line)}\nprintf '\\n<done %s>\\n' $?\n")
            shell.stdin.flush()
            printed: list[str] = []
            while not (line := shell.stdout.readline()).startswith("<done "):
                assert line, f"the shell ended at: {command.line}"
                printed.append(line.rstrip("\n"))
            assert line == "<done 0>\n", f"{command.line} failed: {printed}"
            shown = [text for text in printed if text]
            assert shown == command.expected or not command.expected, f"{command.line} printed {shown}"
        shell.stdin.close()
