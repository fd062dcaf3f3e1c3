"""`manage.py run`: the whole site on this machine, in one terminal (`make run`)."""

import os
import sys
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections
from kombu.connection import Connection
from kombu.exceptions import KombuError
from kombu.exceptions import OperationalError as BrokerAway

from config import runner, sandbox_world

ENVIRONMENT = {
    "PYTHONUNBUFFERED": "1",
    # A sandbox in a container often runs as root, and has heard so.
    "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
}


class Command(BaseCommand):
    """Starts the engines, migrates, seeds an empty database, then serves web, worker and beat until Ctrl-C."""

    help = "Run the whole site on this machine: engines, web, worker and beat. Ctrl-C stops all of it."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Where to serve, and with how many processes."""
        parser.add_argument("--port", type=int, default=int(os.environ.get("PORT") or 8000))
        parser.add_argument("--web", type=int, default=2, metavar="N", help="web processes")
        parser.add_argument("--worker", type=int, default=2, metavar="N", help="worker processes")

    def handle(self, *, port: int, web: int, worker: int, **options: Any) -> None:
        """Raises CommandError with one sentence when something stands in the way."""
        if not settings.SUPERAPP_SANDBOX:
            raise CommandError("In production each process has its own command: see docs/operations.md.")
        if runner.port_is_taken(port):
            raise CommandError(f"Port {port} is taken: choose another, as in `make run PORT={port + 1}`.")
        try:
            self._prepare()
            self._tell(port)
            connections.close_all()
            ended = runner.run_together(
                {
                    "web": runner.web_command(port=port, processes=web),
                    "worker": runner.worker_command(processes=worker),
                    "beat": runner.beat_command(),
                },
                {name: {**ENVIRONMENT, "SUPERAPP_PROCESS": name} for name in ("web", "worker", "beat")},
            )
        except KeyboardInterrupt:
            ended = 0
        self.stdout.write("Stopped.")
        sys.exit(ended)

    def _prepare(self) -> None:
        if not settings.EMBEDDED_VALKEY or os.environ.get("CELERY_BROKER_URL"):
            _ask_broker()
        where = ".local/" if settings.EMBEDDED_POSTGRES else "the server of DATABASE_URL"
        self.stdout.write(f"Database in {where}: migrating ...")
        call_command("migrate", verbosity=0, interactive=False)
        if sandbox_world.is_wanted():
            self.stdout.write("An empty database: seeding a small world ...")
            sandbox_world.build(lambda line: self.stdout.write(f"  {line}"))

    def _tell(self, port: int) -> None:
        site = f"http://127.0.0.1:{port}"
        people = "".join(f"  {line}\n" for line in [*sandbox_world.who_can_sign_in(), ""])
        self.stdout.write(
            f"\n  GraphiQL   {site}/graphql/\n  Admin      {site}/admin/\n  Health     {site}/readyz\n\n{people}"
            "  To sign up: codes and links are shown here, in the log, instead of being sent.\n"
            "  Ctrl-C stops everything.\n"
        )


def _ask_broker() -> None:
    """Raises CommandError when nobody answers where the environment says the broker is."""
    url = settings.CELERY_BROKER_URL
    try:
        with Connection(url, connect_timeout=3) as broker:  # type: ignore[no-untyped-call]
            broker.ensure_connection(max_retries=1, interval_start=0, timeout=3)
    except (KombuError, BrokerAway, OSError, KeyError) as fault:
        named = "CELERY_BROKER_URL" if os.environ.get("CELERY_BROKER_URL") else "REDIS_URL"
        place = urlsplit(url)
        raise CommandError(
            f"The broker at {place.hostname or place.path}:{place.port or ''} ({named}) cannot be reached: {fault}"
        ) from fault
