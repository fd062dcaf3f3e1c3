"""`manage.py engines start|stop|status`: the embedded PostgreSQL and Valkey of this checkout."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config import engines


class Command(BaseCommand):
    """Starts the embedded engines for longer than one command, stops them, or says whether they run."""

    help = "The embedded PostgreSQL and Valkey: start (they stay until stop), stop, status."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """One word."""
        parser.add_argument("act", choices=["start", "stop", "status"])

    def handle(self, *, act: str, **options: Any) -> None:
        """Does it. Raises CommandError with one sentence."""
        try:
            if act == "start":
                engines.stay()
            elif act == "stop":
                engines.stop()
        except engines.EngineError as fault:
            raise CommandError(str(fault)) from fault
        need = engines.needed()
        for name, runs in engines.status().items():
            named = "DATABASE_URL" if name == "PostgreSQL" else "REDIS_URL"
            ours = need.postgres if name == "PostgreSQL" else need.valkey
            state = "runs" if runs else "does not run"
            self.stdout.write(f"{name}: {state}" if ours else f"{name}: {named} names another server ({state} here)")
