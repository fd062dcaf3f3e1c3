"""`manage.py demo` (`make demo`): the story of the sandbox in this terminal, on a fresh sandbox of its own."""

import logging
import os
import sys
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from config.demo import sandbox


class Command(BaseCommand):
    """Starts a fresh sandbox, tells the story over its API, and leaves nothing behind. Exits with 1 if anything is off."""

    help = "Tell the sandbox's story: real API calls to a real server on fresh engines; nothing of yours is touched."
    requires_system_checks = []

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Begins anew as a process whose settings lead to the story's engines, then tells it."""
        if not sandbox.is_home():
            sandbox.clear()
            self.stdout.flush()
            os.execve(sys.executable, [sys.executable, "manage.py", "demo"], sandbox.environment())  # noqa: S606
        from config.demo.front_end import Unexpected
        from config.demo.stage import Stage
        from config.demo.story import NotSettled, Story

        logging.getLogger("httpx").setLevel(logging.WARNING)  # the story says what is asked
        began = time.monotonic()
        stage = Stage()
        stage.tell("A fresh sandbox: PostgreSQL, Valkey, two web processes, two workers and a beat are starting ...")
        try:
            with sandbox.served() as url:
                stage.tell(f"It is served at {url} after {time.monotonic() - began:.0f} s.")
                try:
                    sound = Story(url, stage).tell()
                finally:
                    connections.close_all()
        except (sandbox.DidNotStart, Unexpected, NotSettled) as fault:
            raise CommandError(str(fault)) from fault
        stage.tell(f"Told in {time.monotonic() - began:.0f} s. `make run` serves such a sandbox for you.")
        if not sound:
            raise CommandError("The ledger is not sound: see above.")
