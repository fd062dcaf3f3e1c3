"""A person's income of one day, explained: every digit of it, from the run that paid it, so that anyone can recompute it."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from django.db import connection

from funds import catalogue
from funds.arithmetic import FRACTION_UNITS, income_of, step_of
from funds.entitlement import BASIS_SQL, basis_params
from funds.income_figures import INCOME_RUN, Figures, Rule, figures_of
from funds.leftover import Threshold
from funds.models import Fund, FundDay
from superapp.errors import NotFound
from superapp.models import Run
from wallet.flows import FUND
from wallet.models import Account


@dataclass(frozen=True, slots=True)
class Explanation:
    """paid = cut + handed_out. `revision` says which figure of the day ruled."""

    day: date
    revision: int
    entitled: Decimal
    """Shares that counted for the day: all that was effective before its end, as known when it was frozen."""
    per_10k: Decimal
    exact: Decimal
    """entitled x per_10k / 10,000, every digit."""
    cut: Decimal
    """exact, to the minor unit, toward zero."""
    fraction: Decimal
    """How much of one minor unit the cut took off: at least 0, below 1."""
    handed_out: Decimal
    """What came back of all cuts together: one minor unit, given or (below zero) taken, or nothing."""
    threshold: Decimal | None
    """Larger fractions got one minor unit, equal ones by account; None when nothing was handed out."""
    why: str
    """What became of what the cuts left over, told to the holder."""
    verdict: str
    """Whether this account got a step and by which comparison, told to an operator."""
    corrects: UUID | None
    """The run whose income this one replaces: what is posted is the difference."""

    @property
    def paid(self) -> Decimal:
        """What the day came to for this person."""
        return self.cut + self.handed_out


def explain(*, person_id: UUID, fund_code: str, day: date) -> Explanation:
    """How the person's income of a paid day was worked out, by its latest figure.

    Raises NotFound for an unknown fund, a day that has not been paid, and a person who never held the fund.
    """
    fund = catalogue.fund_named(fund_code)
    asset = catalogue.share_asset(fund)
    account = Account.objects.filter(owner_id=person_id, kind=FUND.code, asset=asset).first()
    frozen = FundDay.objects.select_related("closed_by").filter(fund=fund, day=day, closed_by__isnull=False).first()
    if account is None or frozen is None or frozen.closed_by is None:
        raise NotFound(what="income")
    return _explained(fund, frozen, frozen.closed_by, account)


def explain_run(*, run: Run, account: Account) -> Explanation:
    """How one income run worked out what it is for an account, also where a later figure of the day rules by now.

    Raises NotFound for any other run, one that has not counted its day yet, and an account of anything but the fund's shares.
    """
    frozen = FundDay.objects.select_related("fund").filter(fund__code=run.scope, day=run.day, frozen_at__isnull=False)
    day = frozen.first() if run.kind == INCOME_RUN else None
    if day is None or account.kind != FUND.code or account.asset_id != catalogue.share_asset(day.fund).id:
        raise NotFound(what="income")
    return _explained(day.fund, day, run, account)


def _explained(fund: Fund, frozen: FundDay, run: Run, account: Account) -> Explanation:
    asset = catalogue.share_asset(fund)
    figures = figures_of(run)
    rule = _known_rule(figures)
    entitled = _entitled(fund, frozen, account)
    income = income_of(entitled=entitled, per_10k=rule.per_10k, decimals=asset.decimals)
    reached = (
        bool(entitled)
        and rule.threshold is not None
        and rule.threshold.reaches(fraction=income.fraction, account=account.id)
    )
    return Explanation(
        day=frozen.day,
        revision=run.revision,
        entitled=entitled,
        per_10k=rule.per_10k,
        exact=income.exact,
        cut=income.cut,
        fraction=Decimal(income.fraction) / FRACTION_UNITS,
        handed_out=rule.step if reached else Decimal(0),
        threshold=Decimal(rule.threshold.fraction) / FRACTION_UNITS if rule.threshold else None,
        why=_why(figures, reached=reached),
        verdict=_verdict(figures, rule.threshold, entitled=entitled, fraction=income.fraction, account=account.id),
        corrects=figures.base,
    )


def _known_rule(figures: Figures) -> Rule:
    try:
        return figures.rule()
    except ValueError as fault:  # its day has not been counted to the end
        raise NotFound(what="income") from fault


def _entitled(fund: Fund, frozen: FundDay, account: Account) -> Decimal:
    with connection.cursor() as cursor:
        cursor.execute(BASIS_SQL, basis_params(fund, frozen, low=account.id, high=account.id))
        row = cursor.fetchone()
    return Decimal(row[2]).quantize(step_of(catalogue.share_asset(fund).decimals)) if row else Decimal(0)


def _why(figures: Figures, *, reached: bool) -> str:
    steps = figures.steps or 0
    if figures.leftover == Fund.Leftover.CARRY:
        return "What the cuts left over was carried to the next day."
    if figures.leftover == Fund.Leftover.LEAVE_IN_FUND:
        return "What the cuts left over stayed in the fund."
    if not steps:
        return "The cuts of all holders left nothing over."
    who = "yours was among them" if reached else "yours was not among them"
    verb = "handed out" if steps > 0 else "taken"
    return f"{abs(steps)} minor units were {verb}, to the largest cut fractions, ties by account: {who}."


def _verdict(figures: Figures, last: Threshold | None, *, entitled: Decimal, fraction: int, account: UUID) -> str:
    """The comparison of `Threshold.reaches`, in words."""
    if last is None:
        return _why(figures, reached=False)
    if not entitled:
        return "No: nothing counted for the day."
    if fraction != last.fraction:
        return (
            "Yes: the cut took off more than at the last who got one."
            if fraction > last.fraction
            else "No: the cut took off less than at the last who got one."
        )
    if last.account is None:
        return "Yes: the cut took off as much as at the last who got one, and all with that fraction got one."
    reached = "Yes" if account <= last.account else "No"
    return (
        f"{reached}: the cut took off as much as at the last who got one; of those equals the accounts up to {last.account} "
        f"got one, in the order of their ids, and this one is {account}."
    )
