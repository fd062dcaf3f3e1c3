"""`manage.py verify_ledger`: every invariant that applies, against one snapshot; names each offending row."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from wallet import verification


class Command(BaseCommand):
    """Exits with 0 when every invariant holds, with 1 when any row breaks one."""

    help = "Checks every invariant of the ledger and names each row that breaks one."

    def add_arguments(self, parser: CommandParser) -> None:
        """One option: the form of the answer."""
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")

    def handle(self, *, json: bool, **options: Any) -> None:
        """Runs the checks and prints what they found."""
        results = verification.verify()
        findings = [finding for found in results.values() for finding in found]
        if json:
            self._print_json(results, findings)
        else:
            for each, found in results.items():
                mark = self.style.ERROR("broken") if found else self.style.SUCCESS("holds ")
                self.stdout.write(f"{each.invariant:<4} {mark}  {each.rule}")
                for finding in found:
                    self.stdout.write(f"       {finding.row}: {finding.fault}")
            self.stdout.write(
                self.style.ERROR(f"{len(findings)} rows break an invariant.")
                if findings
                else self.style.SUCCESS(f"All {len(results)} checks hold.")
            )
        if findings:
            raise SystemExit(1)

    def _print_json(
        self,
        results: dict[verification.Check, list[verification.Finding]],
        findings: list[verification.Finding],
    ) -> None:
        self.stdout.write(
            json.dumps(
                {
                    "ok": not findings,
                    "checks": [
                        {"invariant": each.invariant, "rule": each.rule, "findings": len(found)}
                        for each, found in results.items()
                    ],
                    "findings": [
                        {"invariant": finding.invariant, "row": finding.row, "fault": finding.fault}
                        for finding in findings
                    ],
                }
            )
        )
