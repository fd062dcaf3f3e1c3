"""Days of income in the back office: what a run's entries are about, and how one holder's income was worked out. Read-only."""

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from funds import flows
from funds.arithmetic import FRACTION_UNITS
from funds.income_figures import INCOME_RUN, Stage
from funds.models import Fund
from superapp.admin.runs import WORDS, Words
from superapp.models import Run
from wallet.admin.links import SUBJECT_PAGES, SUBJECT_TITLES, link, page_of

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

STAGES: dict[str, str] = {
    Stage.SHARES: "entitled shares, to work out y",
    Stage.COUNT: "holders, shares, incomes as cut, and how the cut fractions lie",
    Stage.FRACTIONS: "how all cut fractions lie: the last step fell elsewhere than expected",
    Stage.TIES: "the exact fractions where the last step falls",
    Stage.DONE: "nothing more: all is counted",
}


def _rule(figures: Mapping[str, Any]) -> str:
    """Who gets a step, once it is known."""
    steps, fraction = int(figures.get("steps") or 0), figures.get("fraction")
    if not steps or fraction is None:
        return ""
    verb = "gets one step more" if steps > 0 else "bears one step"
    equals = f"those with exactly {fraction:,} all do too"
    if account := figures.get("account"):
        equals = f"of those with exactly {fraction:,} the accounts up to {account}, in the order of their ids"
    return f"In words: a holder {verb} where the cut took off more than {fraction:,} / {FRACTION_UNITS:,} of a step; {equals}."


WORDS[INCOME_RUN] = Words(
    labels={
        "base": "Corrects",
        "leftover": "What the cuts leave over is",
        "decimals": "Decimals of one step, the least that is paid",
        "stage": "Batches are read for",
        "batch_accounts": "Accounts a batch was planned to hold",
        "per_10k": "Income per 10,000 shares (y)",
        "net_income": "Net income of the day",
        "holders": "Holders who are entitled",
        "shares": "Their entitled shares",
        "brought_forward": "Carried here from the day before",
        "remainder_before": "Below a step, from the day before",
        "distributable": "To be distributed",
        "remainder": "Below a step, left for the next day",
        "floors": "All incomes, each cut to a step",
        "steps": "Steps handed out; below zero: taken",
        "paid": "Paid",
        "carried": "Carried to the next day",
        "left": "Left in the fund",
        "bucket": "The last step falls into bucket, of 0 to 999 by cut fraction",
        "wanted": "Holders in that bucket who get a step",
        "fraction": f"Cut fraction of the last step, in 1/{FRACTION_UNITS:,} of a step",
        "account": "Last account with that fraction that gets a step",
        "tie_position": "Batch that holds this account",
        "tie_wanted": "Equals in that batch who get a step",
    },
    shown={
        "base": lambda run: link(f"run {run}", page_of("superapp.run", run)),
        "account": lambda account: link(f"account {account}", page_of("wallet.account", account)),
        "leftover": lambda policy: str(dict(Fund.Leftover.choices).get(policy, policy)).lower(),
        "stage": lambda stage: STAGES.get(stage, stage),
        "fraction": lambda fraction: f"{fraction:,}",
    },
    sums={
        "base": "Paid by the run it corrects",
        "entitled": "Entitled shares, read to work out y",
        "floors": "All incomes, each cut to a step",
        "holders": "Holders who are entitled",
        "posted": "Posted",
        "shares": "Their entitled shares",
    },
    remark=_rule,
)
