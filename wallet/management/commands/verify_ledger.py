"""`manage.py verify_ledger`: every invariant that applies, against one snapshot; names each offending row."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from wallet import sealing, verification_runs
from wallet.verification_runs import Extent, Verified


class Command(BaseCommand):
    """Exits with 0 when every invariant holds, with 1 when any row breaks one."""

    help = "Checks every invariant of the ledger and names each row that breaks one."

    def add_arguments(self, parser: CommandParser) -> None:
        """How much is looked at, what is done about it, and the form of the answer."""
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
        parser.add_argument(
            "--incremental", action="store_true", help="look only at what was posted since the last clean verification"
        )
        parser.add_argument("--freeze", action="store_true", help="freeze the people's accounts that a finding names")
        parser.add_argument(
            "--head", action="append", default=[], metavar="DIGEST", help="a seal that the chain must still run through"
        )

    def handle(self, *, json: bool, incremental: bool, freeze: bool, head: list[str], **options: Any) -> None:
        """Runs the checks and prints what they found."""
        verified = verification_runs.run(
            extent=Extent.INCREMENTAL if incremental else Extent.FULL,
            freeze=freeze,
            heads=[self._digest(each) for each in head],
        )
        if json:
            self._print_json(verified)
        else:
            self._print_lines(verified)
        if verified.findings:
            raise SystemExit(1)

    def _digest(self, head: str) -> str:
        match = sealing.HEAD.fullmatch(head)
        if match is None:
            raise CommandError(f"{head!r} is no head: it reads 17:9f86d0..., as `manage.py seal head` prints it.")
        return match[1]

    def _print_lines(self, verified: Verified) -> None:
        for each, found in verified.results.items():
            mark = self.style.ERROR("broken") if found else self.style.SUCCESS("holds ")
            self.stdout.write(f"{each.invariant:<4} {mark}  {each.rule}")
            for finding in found:
                self.stdout.write(f"       {finding.row}: {finding.fault}")
        for line in verified.not_looked_at:
            self.stdout.write(f"Not looked at: {line}.")
        for case in verified.frozen:
            self.stdout.write(self.style.WARNING(f"Frozen: account {case.account_id}, case {case.pk}."))
        self.stdout.write(
            self.style.ERROR(f"{len(verified.findings)} rows break an invariant.")
            if verified.findings
            else self.style.SUCCESS(f"All {len(verified.results)} checks hold.")
        )

    def _print_json(self, verified: Verified) -> None:
        answer = {
            "ok": not verified.findings,
            "extent": verified.extent.value,
            "seconds": round(verified.seconds, 3),
            "checks": [
                {"invariant": each.invariant, "rule": each.rule, "findings": len(found)}
                for each, found in verified.results.items()
            ],
            "findings": [
                {"invariant": finding.invariant, "row": finding.row, "fault": finding.fault}
                for finding in verified.findings
            ],
            "not_looked_at": verified.not_looked_at,
            "frozen": [{"account": str(case.account_id), "case": str(case.pk)} for case in verified.frozen],
        }
        self.stdout.write(json.dumps(answer))
