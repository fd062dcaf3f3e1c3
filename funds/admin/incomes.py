"""Days of income in the back office: what a run's entries are about, and how one holder's income was worked out. Read-only."""

from collections.abc import Collection, Mapping
from uuid import UUID

from funds import flows
from superapp.models import Run
from wallet.admin.links import SUBJECT_PAGES, SUBJECT_TITLES

SUBJECT_PAGES |= {
    kind.code: "superapp.run"
    for kind in (flows.FUND_INCOME, flows.FUND_INCOME_CARRIED, flows.FUND_CORRECTION, flows.SHORTFALL_COLLECTED)
}


def income_title(run: Run) -> str:
    """What a run is called: its day, and which figure of the day, where it is not the first."""
    return f"income of {run.day} (revision {run.revision})" if run.revision else f"income of {run.day}"


def _titles(run_ids: Collection[UUID]) -> Mapping[UUID, str]:
    return {run.pk: income_title(run) for run in Run.objects.filter(pk__in=run_ids).only("day", "revision")}


SUBJECT_TITLES["superapp.run"] = _titles
