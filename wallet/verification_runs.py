"""Verification as operators meet it: run by a job or by hand, its result kept, and the accounts it finds wrong frozen.

extent         when                              begins behind
full           daily, and by `verify_ledger`     the beginning
incremental    every five minutes, and by hand   the last clean run, full or incremental

The mark is the row of the last clean run: while something is wrong it stays where it is, so that each run says so again. A run
looks at one snapshot, in which nothing can change, then freezes in a transaction of its own.
"""

import time as machine_time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

import structlog

from superapp import clock
from wallet import freezes, new_row_checks, seal_checks, sealing, verification
from wallet.assurance import AccountFreeze, VerificationRun
from wallet.verification import Check, Finding, Results, Window

log = structlog.get_logger(__name__)

FULL_AT = time(3, 30)
"""Business time from which the day's full verification is due."""

INCREMENTAL_EVERY = timedelta(minutes=5)
"""How soon after any run what is new is looked at again."""

RUNS_KEPT = 2_000
FINDINGS_KEPT = 100
"""Findings that a run's row keeps; the rest is in the log of the command that found them."""

Extent = VerificationRun.Extent


@dataclass(frozen=True, slots=True)
class Verified:
    """What a verification came to."""

    extent: VerificationRun.Extent
    results: Results
    window: Window
    seconds: float
    frozen: Sequence[AccountFreeze]

    @property
    def findings(self) -> list[Finding]:
        """Every row that breaks a rule."""
        return [finding for found in self.results.values() for finding in found]

    @property
    def not_looked_at(self) -> list[str]:
        """What this verification has left aside, in words."""
        if self.extent == Extent.FULL:
            return []
        bounds = {"from_tx": self.window.from_tx, "to_tx": self.window.to_tx, "from_seal": self.window.from_seal}
        return [line.format(**bounds) for line in new_row_checks.NOT_LOOKED_AT]


@dataclass(frozen=True, slots=True)
class LastResult:
    """What monitoring wants to know. `breaks`: rows found wrong by the last run; instants in business time, None: never."""

    extent: str
    ended_at: datetime
    seconds: float
    breaks: int
    last_clean_at: datetime | None
    last_full_at: datetime | None
    open_freezes: int
    unsealed_since: datetime | None


def run(*, extent: VerificationRun.Extent, freeze: bool, heads: Iterable[str] = ()) -> Verified:
    """Verifies, keeps the result, and where `freeze` is set freezes the inline accounts that a finding names.

    `heads`: digests of exported seals that the chain must run through, besides those in SEAL_HEADS_FILE.
    """
    started_at, began = clock.now(), machine_time.monotonic()
    also = seal_checks.heads(heads)
    if extent == Extent.FULL:
        results, window = verification.look_at_everything([*verification.all_checks(), also])
    else:
        mark = VerificationRun.objects.filter(breaks=0).order_by("-started_at", "-id").first()
        results, window = verification.look_at_the_new(
            lambda window: (*new_row_checks.checks_of(window), also),
            from_tx=mark.to_tx if mark else 0,
            from_seal=mark.to_seal if mark else 0,
        )
    frozen = freezes.freeze(_suspicions(results)) if freeze else []
    verified = Verified(extent, results, window, machine_time.monotonic() - began, frozen)
    _keep(verified, started_at)
    return verified


def full_is_due() -> bool:
    """Whether the day's full verification has not been begun yet."""
    now = clock.now().astimezone(clock.business_zone())
    due = datetime.combine(now.date(), FULL_AT, tzinfo=clock.business_zone())
    return now >= due and not VerificationRun.objects.filter(extent=Extent.FULL, started_at__gte=due).exists()


def incremental_is_due() -> bool:
    """Whether no run has begun in the last minutes: beat may poke twice, and a traveller's clock stands still."""
    last = VerificationRun.objects.order_by("-id").values_list("started_at", flat=True).first()
    return last is None or not clock.now() - INCREMENTAL_EVERY < last <= clock.now()


def last_result() -> LastResult | None:
    """The newest run and what stands open; None before the first. A few look-ups by index: cheap enough for each scrape."""
    runs = VerificationRun.objects.order_by("-id")
    last = runs.first()
    if last is None:
        return None
    clean = runs.filter(breaks=0).first()
    full = runs.filter(extent=Extent.FULL).first()
    return LastResult(
        extent=last.extent,
        ended_at=last.started_at,
        seconds=last.seconds,
        breaks=last.breaks,
        last_clean_at=clean.started_at if clean else None,
        last_full_at=full.started_at if full else None,
        open_freezes=AccountFreeze.objects.filter(lifted_at__isnull=True).count(),
        unsealed_since=sealing.unsealed_since(),
    )


def _suspicions(results: Results) -> list[freezes.Suspicion]:
    return [
        freezes.Suspicion(row=finding.row, fault=finding.fault, found_by=_name(each), reason=_reason(each))
        for each, found in results.items()
        for finding in found
    ]


def _name(each: Check) -> str:
    return f"{each.invariant} {each.rule}"[:250]


def _reason(each: Check) -> AccountFreeze.Reason:
    return AccountFreeze.Reason.SEAL if each.invariant == "S1" else AccountFreeze.Reason.INVARIANT


def _keep(verified: Verified, started_at: datetime) -> None:
    findings = verified.findings
    VerificationRun.objects.create(
        extent=verified.extent,
        started_at=started_at,
        seconds=verified.seconds,
        from_tx=verified.window.from_tx,
        to_tx=verified.window.to_tx,
        to_seal=verified.window.to_seal,
        checks=len(verified.results),
        breaks=len(findings),
        findings=[
            {"invariant": each.invariant, "row": each.row, "fault": each.fault} for each in findings[:FINDINGS_KEPT]
        ],
    )
    # The mark itself is never among the rows that go.
    old = VerificationRun.objects.order_by("-id").values_list("id", flat=True)[RUNS_KEPT : RUNS_KEPT + 100]
    mark = VerificationRun.objects.filter(breaks=0).order_by("-started_at", "-id").values_list("id", flat=True).first()
    VerificationRun.objects.filter(id__in=[each for each in old if each != mark]).delete()
    for each in findings:
        log.error("ledger_break", invariant=each.invariant, row=each.row, fault=each.fault)
    for case in verified.frozen:
        log.error("account_frozen", case=str(case.pk), account=str(case.account_id))
