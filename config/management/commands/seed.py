"""Makes a small world in an empty sandbox: `manage.py seed`."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config import sandbox_world


class Command(BaseCommand):
    """Funds, people and money, made through the same functions as everything else."""

    help = "Sandbox only: fills an empty database with two funds, three people with money, and an operator."

    def handle(self, **options: Any) -> None:
        """Seeds, or says that it was done before; then who can sign in."""
        try:
            sandbox_world.build(lambda line: self.stdout.write(f"  {line}"))
        except sandbox_world.NotEmpty as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write("\n".join(["", *sandbox_world.who_can_sign_in()]))
