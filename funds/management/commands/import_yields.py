"""Takes a file of a fund's yields, whole or not at all."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from funds import yields
from funds.catalogue import fund_named
from superapp.errors import NotFound


class Command(BaseCommand):
    """`manage.py import_yields FUND FILE.csv [--revise]`; columns date, per_10k_income and, optionally, seven_day_yield."""

    help = (
        "Imports the income per 10,000 of each day from a CSV file (columns date, per_10k_income and, optionally, "
        "seven_day_yield, which is checked wherever its seven days are known). At any fault nothing is imported."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The fund, the file, and whether other figures are corrections."""
        parser.add_argument("fund", help="The fund's code.")
        parser.add_argument("file", type=Path, help="A CSV file, UTF-8.")
        parser.add_argument(
            "--revise", action="store_true", help="Figures that differ from known ones become the days' next revisions."
        )

    def handle(self, *_args: Any, fund: str, file: Path, revise: bool, **_options: Any) -> None:
        """Imports, or names every fault and ends with exit code 1."""
        try:
            with file.open(encoding="utf-8-sig", newline="") as lines:
                imported = yields.import_file(fund=fund_named(fund), lines=lines, revise=revise)
        except (OSError, UnicodeDecodeError, NotFound) as fault:
            raise CommandError(str(fault)) from fault
        except yields.YieldsRefused as refused:
            raise CommandError(f"Nothing was imported from {file}:\n{refused}") from refused
        self.stdout.write(
            f"{imported.added} days added, {imported.revised} revised, {imported.unchanged} known already; "
            f"{imported.windows_checked} published 7-day yields agree."
        )
