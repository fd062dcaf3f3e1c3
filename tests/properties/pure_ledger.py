"""The ledger, said once more in plain Python: the specification that the real one is compared with after every step."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

ZERO = Decimal(0)


class Refused(Exception):
    """The business says no, with a code; nothing has changed."""


class Fault(Exception):
    """The caller has asked for what no ledger can write; nothing has changed."""


class Account(NamedTuple):
    """A position in one asset. `folded`: the system's own, which may stand anywhere and is never refused."""

    id: UUID
    kind: str
    asset: str
    asset_type: str
    decimals: int
    folded: bool = False
    credit_limit: Decimal = ZERO
    closed: bool = False
    frozen: bool = False


class Hold(NamedTuple):
    """Part of a balance set aside: captured + released + lapsed + remaining = amount."""

    account: UUID
    amount: Decimal
    remaining: Decimal
    lapses_at: datetime | None = None
    captured: Decimal = ZERO
    released: Decimal = ZERO
    lapsed: Decimal = ZERO
    state: str = "open"


class Step(NamedTuple):
    """What happens to a hold: place, capture (for a leg to spend) or release; without an amount, all that is left of it."""

    does: str
    account: UUID
    hold: UUID
    amount: Decimal | None = None
    lapses_at: datetime | None = None
    final: bool = True  # of a capture: what it leaves over is released


class Plan(NamedTuple):
    """One entry to be written. A leg is an account and a signed amount: positive raises what is owed to its owner."""

    id: UUID
    kind: str
    legs: tuple[tuple[UUID, Decimal], ...] = ()
    steps: tuple[Step, ...] = ()
    effective_at: datetime | None = None
    reverses: UUID | None = None


class Posting(NamedTuple):
    account: UUID
    sequence: int | None
    entry: UUID
    amount: Decimal
    balance_after: Decimal | None
    effective_at: datetime
    recorded_at: datetime


@dataclass
class PureLedger:
    """`flows`: for each kind of entry the kinds of account it may move, in which type of asset, in which direction."""

    flows: Mapping[str, frozenset[tuple[str, str, int]]]
    accounts: dict[UUID, Account] = field(default_factory=dict)
    entries: dict[UUID, Plan] = field(default_factory=dict)
    postings: list[Posting] = field(default_factory=list)
    holds: dict[UUID, Hold] = field(default_factory=dict)
    last_recorded: dict[UUID, datetime] = field(default_factory=dict)

    def postings_of(self, account: UUID) -> list[Posting]:
        return [posting for posting in self.postings if posting.account == account]

    def balance(self, account: UUID) -> Decimal:
        return sum((posting.amount for posting in self.postings_of(account)), ZERO)

    def balance_as_of(self, account: UUID, *, effective: datetime, recorded: datetime) -> Decimal:
        known = [posting for posting in self.postings_of(account) if posting.recorded_at <= recorded]
        return sum((posting.amount for posting in known if posting.effective_at <= effective), ZERO)

    def held(self, account: UUID) -> Decimal:
        return sum((hold.remaining for hold in self.holds.values() if hold.account == account), ZERO)

    def post(self, *plans: Plan, now: datetime) -> None:
        at = self._recording_time(plans, now)
        self._all_or_nothing(lambda: self._write(at, *plans))

    def post_set(self, plans: Sequence[Plan], *, now: datetime) -> dict[UUID, str]:
        at, refused = self._recording_time(plans, now), dict[UUID, str]()

        def write_each() -> None:
            for plan in plans:
                try:
                    self._all_or_nothing(lambda plan=plan: self._write(at, plan))  # type: ignore[misc]
                except Refused as refusal:
                    refused[plan.id] = str(refusal)

        self._all_or_nothing(write_each)
        return refused

    def reverse(self, entry: UUID, *, by: UUID, now: datetime) -> None:
        if any(each.reverses == entry for each in self.entries.values()):
            raise Refused("ALREADY_REVERSED")
        legs = tuple((account, -amount) for account, amount in sorted(self.entries[entry].legs, key=lambda leg: leg[0]))
        self.post(Plan(id=by, kind="reversal", legs=legs, reverses=entry), now=now)

    def lapse(self, *, now: datetime) -> None:
        for name, hold in self.holds.items():
            if hold.state == "open" and hold.lapses_at is not None and hold.lapses_at <= now:
                self.holds[name] = hold._replace(remaining=ZERO, lapsed=hold.remaining, state="lapsed")

    def _recording_time(self, plans: Iterable[Plan], now: datetime) -> datetime:
        named = {leg[0] for plan in plans for leg in plan.legs} | {
            step.account for plan in plans for step in plan.steps
        }
        return max([now, *(self.last_recorded[name] for name in named if name in self.last_recorded)])

    def _write(self, at: datetime, *plans: Plan) -> None:
        for plan in plans:
            effective_at = plan.effective_at or at
            if effective_at > at or not (plan.legs or plan.steps):
                raise Fault
            for step in plan.steps:
                self._set_aside(step, at)
                self.last_recorded[step.account] = at
            totals: dict[str, Decimal] = {}
            for name, amount in plan.legs:
                account = self.accounts.get(name)
                moves = account and (account.kind, account.asset_type, (amount > 0) - (amount < 0))
                if account is None or moves not in self.flows[plan.kind] or amount != round(amount, account.decimals):
                    raise Fault
                self._check(account, takes=-amount)
                totals[account.asset] = totals.get(account.asset, ZERO) + amount
                sequence = after = None
                if not account.folded:
                    sequence, after = len(self.postings_of(name)) + 1, self.balance(name) + amount
                    self.last_recorded[name] = at
                self.postings.append(Posting(name, sequence, plan.id, amount, after, effective_at, at))
            if any(totals.values()):
                raise Fault
            if plan.legs:
                self.entries[plan.id] = plan

    def _check(self, account: Account, *, takes: Decimal) -> None:
        if account.closed:
            raise Refused("ACCOUNT_CLOSED")
        if takes > 0 and account.frozen:
            raise Refused("ACCOUNT_FROZEN")
        available = self.balance(account.id) - self.held(account.id) + account.credit_limit
        if takes > 0 and takes > available and not account.folded:
            raise Refused("INSUFFICIENT_FUNDS")

    def _set_aside(self, step: Step, at: datetime) -> None:
        if step.does == "place":
            if step.amount is None or step.amount <= 0 or (step.lapses_at is not None and step.lapses_at <= at):
                raise Fault
            self._check(self.accounts[step.account], takes=step.amount)
            self.holds[step.hold] = Hold(step.account, step.amount, step.amount, step.lapses_at)
            return
        hold = self.holds.get(step.hold)
        if hold is None or hold.account != step.account or hold.state in {"captured", "released"}:
            raise Fault
        if hold.state == "lapsed" or (step.does == "capture" and hold.lapses_at is not None and hold.lapses_at <= at):
            raise Refused("HOLD_LAPSED")  # for a capture whether or not the sweep has come by
        amount = hold.remaining if step.amount is None else step.amount
        if not 0 < amount <= hold.remaining:
            raise Fault
        freed = hold.remaining if step.does == "capture" and step.final else amount
        part, rest = amount if step.does == "capture" else ZERO, hold.remaining - freed
        end = "open" if rest else {"capture": "captured", "release": "released"}[step.does]
        captured, released = hold.captured + part, hold.released + freed - part
        self.holds[step.hold] = hold._replace(remaining=rest, captured=captured, released=released, state=end)

    def _all_or_nothing(self, act: Callable[[], object]) -> None:
        before = dict(self.entries), list(self.postings), dict(self.holds), dict(self.last_recorded)
        try:
            act()
        except (Refused, Fault):
            self.entries, self.postings, self.holds, self.last_recorded = before
            raise
