"""`manage.py benchmark NAME`: how fast a path is, beside the plainest SQL that writes the same rows."""

import importlib
import json
import signal
from argparse import ArgumentParser
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError

NAMES = ("ledger", "settlement", "income", "api")


class Command(BaseCommand):
    """Measures one path in a database of its own, which is dropped afterwards."""

    help = "Measures one path beside the plainest SQL that writes the same rows, in a database of its own."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The benchmark's name, and its sizes where the usual ones do not suit."""
        parser.add_argument("name", choices=NAMES)
        parser.add_argument("--json", action="store_true", help="print one JSON object on the last line")
        parser.add_argument("--rows", type=int, help="rows of each measured run")
        parser.add_argument("--workers", type=int, help="processes that do the work at once")
        parser.add_argument("--rounds", type=int, default=5, help="rounds in which limit and path take turns (5)")
        parser.add_argument(
            "--history", type=int, help="income: days of postings that are there before the first round"
        )

    def handle(self, *, name: str, json: bool, **options: Any) -> None:
        """Measures and prints."""
        sizes: dict[str, int | None] = {size: options.get(size) for size in ("rows", "workers", "rounds", "history")}
        given = {size: number for size, number in sizes.items() if number is not None}
        if any(number < 1 for number in given.values()):
            raise CommandError("--rows, --workers, --rounds and --history are at least 1.")
        if "history" in given and name != "income":
            raise CommandError("Only the income benchmark takes --history.")
        signal.signal(signal.SIGTERM, _leave)
        figures = importlib.import_module(f"config.benchmarks.{name}").measure(**given)
        self.stdout.write(figures.as_table())
        if json:
            self.stdout.write(_one_line(figures.as_json()))


def _one_line(figures: dict[str, object]) -> str:
    return json.dumps(figures)


def _leave(signum: int, _frame: object) -> NoReturn:
    """Ended like by Ctrl-C, so that what was made is taken away."""
    raise SystemExit(128 + signum)
