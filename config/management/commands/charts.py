"""Writes the documentation that is drawn from the code: `manage.py charts`."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    """docs/flows.md from the flow table, docs/modules.md from the modules, docs/rules.md from who uses which rule."""

    help = "Write docs/flows.md, docs/modules.md and docs/rules.md from the code, or compare them with it (--check)."

    def add_arguments(self, parser: CommandParser) -> None:
        """--check."""
        parser.add_argument("--check", action="store_true", help="write nothing; fail when a page differs")

    def handle(self, *, check: bool, **options: Any) -> None:
        """Raises CommandError naming the pages that differ, or when the development requirements are not installed."""
        try:
            from config import charts
        except ModuleNotFoundError as missing:
            raise CommandError(f"This needs the development requirements: make install ({missing}).") from missing
        stale = [page for page, text in charts.pages().items() if not page.exists() or page.read_text() != text]
        if check and stale:
            names = ", ".join(str(page.relative_to(charts.ROOT)) for page in stale)
            raise CommandError(f"{names} no longer agree with the code: run manage.py charts.")
        for page in stale:
            page.write_text(charts.pages()[page])
            self.stdout.write(f"{page.relative_to(charts.ROOT)} written.")
