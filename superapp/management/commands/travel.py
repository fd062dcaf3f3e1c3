"""Lets a sandbox live through the time up to a day or an instant: `manage.py travel --to 2013-12-31`."""

from datetime import date, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from superapp import clock, runs
from superapp.errors import ClockCannotTravel
from superapp.travel import Journey, NeverQuiet, travel


class Command(BaseCommand):
    """Moves the sandbox's clock forward and runs every job that falls due on the way, in order."""

    help = (
        "Sandbox only: moves the business clock forward and runs each job that falls due on the way, in order, through "
        "the same tasks as ever. A date means its beginning, 00:00 in the business zone; jobs due then are run."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """--to, and how long to wait for others."""
        parser.add_argument(
            "--to", required=True, metavar="DATE|INSTANT", help="2013-12-31, 2013-12-31T15:00 or 2013-12-31T15:00+08:00"
        )
        parser.add_argument(
            "--patience", type=float, default=60.0, metavar="SECONDS", help="Give up when nothing moves for so long."
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Travels, showing each day."""
        target = _instant(options["to"])
        try:
            journey = travel(to=target, tell=self._tell, patience_seconds=options["patience"])
        except (ClockCannotTravel, runs.RunsStuck, NeverQuiet) as refused:
            raise CommandError(refused.message if isinstance(refused, ClockCannotTravel) else str(refused)) from refused
        if self.stdout.isatty():
            self.stdout.write("")
        self._sum_up(journey)

    def _tell(self, day: date, journey: Journey) -> None:
        line = f"{day}  {journey.daily_jobs} daily jobs, {sum(journey.done.values())} things done"
        if self.stdout.isatty():
            self.stdout.write(f"\r\x1b[2K{line}", ending="")
            self.stdout.flush()
        else:
            self.stdout.write(line)

    def _sum_up(self, journey: Journey) -> None:
        zone = clock.business_zone()
        begun, ended = journey.started_at.astimezone(zone), journey.ended_at.astimezone(zone)
        self.stdout.write(f"From {begun:%Y-%m-%d %H:%M} to {ended:%Y-%m-%d %H:%M} ({zone.key}).")
        for name, done in sorted(journey.done.items()):
            if done:
                self.stdout.write(f"  {name}: {done}")
        for run in journey.stopped_runs:
            self.stderr.write(self.style.ERROR(f"The run {run} has stopped: {run.fault}"))


def _instant(text: str) -> datetime:
    try:
        if len(text) == len("2013-12-31"):
            return clock.start_of(date.fromisoformat(text))
        instant = datetime.fromisoformat(text)
    except ValueError as problem:
        raise CommandError(
            f"--to takes a date or an instant, e.g. 2013-12-31 or 2013-12-31T15:00, not {text!r}."
        ) from problem
    return instant if instant.tzinfo else instant.replace(tzinfo=clock.business_zone())
