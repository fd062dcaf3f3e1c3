"""`manage.py seal`: seals what is new, or says where the chain ends: `manage.py seal head`."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from wallet import sealing


class Command(BaseCommand):
    """Prints the head of the chain as `number:digest`: keep it elsewhere, `verify_ledger --head` asks for it later."""

    help = "Seals new entries and postings; `seal head` only says where the chain ends."

    def add_arguments(self, parser: CommandParser) -> None:
        """What is to be done."""
        parser.add_argument(
            "what", nargs="?", choices=["new", "head"], default="new", help="new (the default), or head"
        )

    def handle(self, *, what: str, **options: Any) -> None:
        """Seals, unless only the head is asked for, and prints the head."""
        if what == "new":
            self.stderr.write(f"{sealing.seal()} rows were sealed.")
        self.stdout.write(str(sealing.head()))
