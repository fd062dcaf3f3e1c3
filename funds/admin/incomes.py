"""Days of income in the back office: what runs are called, their figures in words, how a holder's income came about."""

from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from funds import flows
from funds.arithmetic import FRACTION_UNITS
from funds.explanation import Explanation, explain_run
from funds.income_figures import INCOME_RUN, Stage
from funds.models import Fund, IncomeShortfall
from superapp.admin.runs import WORDS, Words
from superapp.errors import NotFound
from superapp.figures import MISSING, figure
from superapp.models import Run
from wallet.admin.links import (
    POSTING_LINKS,
    SUBJECT_PAGES,
    SUBJECT_TITLES,
    Place,
    account_link,
    link,
    page_of,
    person_link,
)
from wallet.flows import FUND
from wallet.models import Account

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


def explained_address(*, run: UUID, account: UUID) -> str:
    """Address of the page that tells how a run worked out an account's income."""
    return reverse("admin:funds_income_explained", args=[run, account])


def _explained(places: Collection[Place]) -> Mapping[Place, SafeString]:
    """Of holders only: a fund's own side of the entry is the sum of theirs."""
    holders = set(
        Account.objects.filter(pk__in={place.account for place in places}, kind=FUND.code).values_list("pk", flat=True)
    )
    return {
        place: link("how it was worked out", explained_address(run=place.subject, account=place.account))
        for place in places
        if place.account in holders
    }


POSTING_LINKS |= {flows.FUND_INCOME.code: _explained, flows.FUND_CORRECTION.code: _explained}


def explained_path() -> URLPattern:
    """The page of one holder's income, among the pages of funds."""
    return path(
        "income/<uuid:run>/<uuid:account>/", admin.site.admin_view(explained_view), name="funds_income_explained"
    )


def explained_view(request: HttpRequest, run: UUID, account: UUID) -> HttpResponse:
    """How one run worked out one holder's income, step by step, for whoever may see funds and accounts."""
    if not request.user.has_perms(["funds.view_fund", "wallet.view_account"]):
        raise PermissionDenied
    holding = get_object_or_404(Account.objects.select_related("owner", "asset"), pk=account)
    paid_by = get_object_or_404(Run, pk=run)
    try:
        found = explain_run(run=paid_by, account=holding)
        lines = [*_steps(found, holding), *_corrected(found, paid_by, holding)]
    except (NotFound, TypeError, ValueError, ArithmeticError) as fault:  # also figures that a hand has changed
        raise Http404 from fault
    context = {
        **admin.site.each_context(request),
        "title": f"{income_title(paid_by).capitalize()} of {paid_by.scope}, worked out",
        "holder": person_link(holding.owner),
        "account": account_link(holding),
        "run": link(income_title(paid_by), page_of("superapp.run", run)),
        "lines": lines,
    }
    return TemplateResponse(request, "funds/income_explained.html", context)


def _steps(found: Explanation, holding: Account) -> list[tuple[str, SafeString | str, str]]:
    """What is worked out, what comes to, and how: in the order of the arithmetic."""
    asset = holding.asset
    return [
        ("Entitled shares", figure(found.entitled, asset.decimals), "effective before the day's end, as then known"),
        ("Income per 10,000 shares (y)", _digits(found.per_10k), "by the figure that this run paid"),
        ("Exact income", _digits(found.exact), "entitled shares x y / 10,000"),
        ("Cut", figure(found.cut, asset.decimals), "to a step, toward zero"),
        ("Cut fraction", _digits(found.fraction), "what the cut took off, in parts of a step"),
        ("Fraction of the last who got a step", MISSING if found.threshold is None else _digits(found.threshold), ""),
        ("A step of what the cuts left over", figure(found.handed_out, asset.decimals), found.verdict),
        ("Comes to", figure(found.paid, asset.decimals), "the cut and the step"),
    ]


def _digits(exact: Decimal) -> str:
    """Every digit there is, and no zeros that say nothing."""
    written = f"{exact:f}"
    return written.rstrip("0").rstrip(".") if "." in written else written


def _corrected(found: Explanation, run: Run, holding: Account) -> list[tuple[str, SafeString | str, str | SafeString]]:
    """Of a correction, and of a day that lost: what was posted, which is not what the day comes to."""
    decimals = holding.asset.decimals
    lines: list[tuple[str, SafeString | str, str | SafeString]] = []
    due = found.paid
    base = Run.objects.filter(pk=found.corrects).first() if found.corrects else None
    if base is not None:
        before = explain_run(run=base, account=holding).paid
        due -= before
        told = link(income_title(base), explained_address(run=base.pk, account=holding.pk))
        lines += [
            ("Corrects", figure(before, decimals), told),
            ("To be posted", figure(due, decimals), "what it comes to less what it corrects"),
        ]
    owed = IncomeShortfall.objects.filter(run=run, account=holding).first()
    if owed is not None:
        told = link("what is owed, and who paid", page_of("funds.incomeshortfall", owed.pk))
        lines += [
            ("Of it not there to take", figure(-owed.amount, decimals), told),
            ("Posted", figure(due + owed.amount, decimals), "what was there to take"),
        ]
    return lines
