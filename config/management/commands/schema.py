"""`manage.py schema`: writes schema.graphql, or with --check says whether it is what the code offers."""

import difflib
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.settings.environment import BASE_DIR


class Command(BaseCommand):
    help = "Write the GraphQL schema to schema.graphql, or compare the two (--check)."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing; fail when they differ")

    def handle(self, *, check: bool, **_: Any) -> None:
        from config.schema import schema

        path = BASE_DIR / "schema.graphql"
        offered: str = schema.as_str() + "\n"
        if not check:
            path.write_text(offered)
            self.stdout.write(f"Wrote {path.name}.")
            return
        kept = path.read_text() if path.exists() else ""
        if kept != offered:
            difference = difflib.unified_diff(
                kept.splitlines(), offered.splitlines(), "schema.graphql", "the code", lineterm="", n=2
            )
            self.stderr.write("\n".join(difference))
            raise CommandError(
                "schema.graphql is not what the code offers; run `manage.py schema` and look at the diff."
            )
        self.stdout.write("schema.graphql is what the code offers.")
