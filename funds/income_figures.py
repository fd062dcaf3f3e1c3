"""What an income run knows of its day, kept in the run's figures: exact decimals, written as strings.

paid + carried + left = distributable + brought forward, to the cent; what is below a cent is the remainder.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from funds.arithmetic import FRACTION_UNITS, RATE_DECIMALS, Y_DECIMALS, rate_of, step_of
from funds.leftover import BUCKET_WIDTH, Threshold
from funds.models import Fund
from superapp.models import Run, RunBatch

INCOME_RUN = "fund_income"
"""The kind of the runs these are the figures of."""


class Stage(StrEnum):
    """What a counting run's batches are read for."""

    SHARES = "shares"
    """Only the entitled shares: from them a derived y is worked out."""
    COUNT = "count"
    """Holders, shares, incomes as cut, how the cut fractions lie, and the exact ones where the last step is expected."""
    FRACTIONS = "fractions"
    """How all cut fractions lie, when the last step fell elsewhere."""
    TIES = "ties"
    """The exact fractions in the bucket where it falls then."""
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Rule:
    """How one run pays a holder: the cut income, and one step more (or less) for those the threshold reaches."""

    per_10k: Decimal
    step: Decimal
    """Signed; zero when nothing is handed out."""
    threshold: Threshold | None

    def params(self, prefix: str) -> dict[str, Any]:
        """The rule as parameters of `funds.income_sql`."""
        reach = self.threshold or Threshold(fraction=0, account=None)
        return {
            f"{prefix}rate": rate_of(self.per_10k),
            f"{prefix}step": self.step,
            f"{prefix}fraction": reach.fraction,
            f"{prefix}account": reach.account,
        }

    def lifted(self, *, decimals: int, reached: bool) -> "Lifted":
        """Cut and step in one: a day that hands out steps lifts every exact income by what the threshold lacks of one.

        `reached`: for the accounts that the threshold reaches with its own fraction. Only for a rule that takes nothing:
        raises ValueError where y or the step is below zero, or y is zero.
        """
        rate = int(self.per_10k.scaleb(Y_DECIMALS))
        if rate <= 0 or self.step < 0:
            raise ValueError("Only what is above zero can be lifted.")
        enough = FRACTION_UNITS
        if self.step:
            reach = self.threshold or Threshold(fraction=0, account=None)
            enough = reach.fraction + (0 if reached else 1)
        unit = step_of(decimals)
        return Lifted(
            by=(unit * (FRACTION_UNITS - enough)).scaleb(-RATE_DECIMALS),
            least=unit * max(1, -(-enough // rate)),
        )


@dataclass(frozen=True, slots=True)
class Lifted:
    """income = cut(entitled x rate + `by`); who is entitled to less than `least` gets nothing."""

    by: Decimal
    least: Decimal


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one run; what is not known yet is None."""

    decimals: int
    leftover: str
    stage: str = Stage.COUNT
    per_10k: Decimal | None = None
    net_income: Decimal | None = None
    base: UUID | None = None
    """Of a correction: the run whose incomes it replaces."""
    batch_accounts: int | None = None
    """How many accounts a batch was planned to hold."""
    brought_forward: Decimal = Decimal(0)
    remainder_before: Decimal = Decimal(0)
    holders: int | None = None
    shares: Decimal | None = None
    floors: Decimal | None = None
    distributable: Decimal | None = None
    remainder: Decimal | None = None
    paid: Decimal | None = None
    carried: Decimal | None = None
    left: Decimal | None = None
    steps: int | None = None
    """How many steps of the minor unit are handed out; negative when they are taken."""
    bucket: int | None = None
    """Where the last step falls, and how many of that bucket's holders still get one."""
    wanted: int | None = None
    fraction: int | None = None
    account: UUID | None = None
    tie_position: int | None = None
    """The batch that holds the last equal fraction that gets a step, and how many of them there do."""
    tie_wanted: int | None = None

    def rule(self) -> Rule:
        """The rule these figures come to. Raises ValueError before they are complete."""
        if self.per_10k is None or self.steps is None:
            raise ValueError("The run has no rule yet.")
        if not self.steps:
            return Rule(per_10k=self.per_10k, step=Decimal(0), threshold=None)
        if self.fraction is None:
            raise ValueError("The run has no threshold yet.")
        step = step_of(self.decimals) * (1 if self.steps > 0 else -1)
        return Rule(per_10k=self.per_10k, step=step, threshold=Threshold(fraction=self.fraction, account=self.account))

    def known_rate(self) -> Decimal:
        """y. Raises ValueError while a derived one has not been worked out."""
        if self.per_10k is None:
            raise ValueError("The day's y has not been worked out yet.")
        return self.per_10k

    @property
    def hands_out(self) -> bool:
        """Whether what the cuts leave over is handed out in steps."""
        return self.leftover == Fund.Leftover.HAND_OUT

    def conserved(self) -> bool:
        """Whether every cent of the day is accounted for."""
        parts = (self.paid, self.carried, self.left, self.distributable)
        if any(part is None for part in parts):
            return False
        paid, carried, left, available = (part or Decimal(0) for part in parts)
        return paid + carried + left == available + self.brought_forward

    def stored(self) -> dict[str, Any]:
        """The figures as JSON can hold them exactly."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: format(value, "f") if isinstance(value, Decimal) else str(value) if isinstance(value, UUID) else value
            for name, value in values.items()
            if value is not None
        }

    def with_(self, **changes: Any) -> "Figures":
        """The same figures with some of them set."""
        return replace(self, **changes)


_DECIMALS = frozenset(
    {
        "per_10k",
        "net_income",
        "brought_forward",
        "remainder_before",
        "shares",
        "floors",
        "distributable",
        "remainder",
        "paid",
        "carried",
        "left",
    }
)
_IDS = frozenset({"base", "account"})


def figures_of(run: Run) -> Figures:
    """The figures a run keeps."""
    return read(run.figures)


def read(stored: Mapping[str, Any]) -> Figures:
    """The figures that `Figures.stored` wrote; entries of other owners are left aside."""
    known = {field.name for field in fields(Figures)}
    values: dict[str, Any] = {
        name: Decimal(value) if name in _DECIMALS else UUID(value) if name in _IDS else value
        for name, value in stored.items()
        if name in known
    }
    return Figures(**values)


def is_known(counted: Mapping[str, Any], bucket: int) -> bool:
    """Whether a batch's figures tell how many holders that bucket has, and how many lie above it."""
    near = counted.get("near")
    return near is None or near["first"] <= bucket <= near["last"]


def exact_in(counted: Mapping[str, Any], bucket: int) -> dict[str, int] | None:
    """How many holders each exact fraction in a bucket has, by a batch's figures; None when it was not looked at.

    Read for itself (`ties`), or kept when the batch was counted (`near`: `first` and `last` bucket, `fractions`).
    """
    if "ties" in counted:
        ties: dict[str, int] = counted["ties"]
        return ties
    near = counted.get("near")
    if near is None or not is_known(counted, bucket):
        return None
    return {place: count for place, count in near["fractions"].items() if int(place) // BUCKET_WIDTH == bucket}


def steps_in(batch: RunBatch, figures: Figures) -> int:
    """How many of a batch's holders get a step, by what was counted: one side of the check on what is posted."""
    if not figures.steps:
        return 0
    buckets: dict[str, int] = batch.figures.get("fractions", {})
    if figures.bucket is None:
        raise ValueError("Steps are handed out, but it was not counted where the last one falls.")
    above = sum(count for bucket, count in buckets.items() if int(bucket) > figures.bucket)
    ties = exact_in(batch.figures, figures.bucket)
    if ties is None:
        return above + buckets.get(str(figures.bucket), 0)
    fraction = figures.fraction or 0
    above += sum(count for place, count in ties.items() if int(place) > fraction)
    equal = ties.get(str(fraction), 0)
    if figures.tie_position is None or batch.position < figures.tie_position:
        return above + equal
    return above + ((figures.tie_wanted or 0) if batch.position == figures.tie_position else 0)
