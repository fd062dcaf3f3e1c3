"""A state machine that does to the real ledger and to the pure one whatever a caller could, and compares them after each step.

Every step of the real one commits; each example has accounts of its own, so that a run needs one database. Time stands still
during a step. Compared are: what the call answered (done, refused with which code, at fault), balances, what is held,
sequences, every posting, every hold, answers as of any instant; a step that both refuse has so been shown to change nothing
(I13), and a set to be its items one by one (I14).
"""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from superapp import clock
from superapp.errors import DomainError
from superapp.ids import uuid7
from superapp.models import User
from tests.interleaving import Actor
from tests.properties import pure_ledger as pure
from tests.properties.pure_ledger import PureLedger
from tests.properties.small_world import (
    CNY,
    FLOWS,
    INLINE,
    JPY,
    KINDS,
    MISTAKES,
    ONE_INLINE,
    Move,
    SmallWorld,
    days,
    minor,
    moves,
    number,
)
from tests.wallet.ledger_world import faults, taken_back
from wallet import freezes, holds, ledger
from wallet.assurance import AccountFreeze
from wallet.balances import balance_as_of, balance_of
from wallet.errors import LedgerFault
from wallet.folding import fold
from wallet.ledger_sets import post_set
from wallet.models import Account, JournalEntry

SET_LEGS = """
    SELECT l.item, l.position, l.account_id, l.amount, l.subject {against}
    FROM unnest(%(items)s::uuid[], %(positions)s::bigint[], %(accounts)s::uuid[], %(amounts)s::numeric[],
                %(subjects)s::uuid[], %(others)s::uuid[])
         AS l (item, position, account_id, amount, subject, against)
"""
SET_CAPTURES = """
    SELECT c.item, c.hold_id, c.account_id, c.amount, c.final
    FROM unnest(%(capturing)s::uuid[], %(holds)s::uuid[], %(holders)s::uuid[], %(parts)s::numeric[], %(finals)s::boolean[])
         AS c (item, hold_id, account_id, amount, final)
"""


def _quiet(act: Callable[[], object]) -> Callable[[], None]:
    """The act without its answer: the pure ledger answers in another form."""

    def silent() -> None:
        act()

    return silent


class LedgerMachine(RuleBasedStateMachine):
    """One example: a small world, and what is done to it."""

    late: ClassVar[Actor]

    @initialize()
    def a_world(self) -> None:
        clock.forget()
        self.now = clock.now()
        self.world = SmallWorld(now=self.now)
        self.names = self.world.names
        self.model = PureLedger(flows=FLOWS, accounts=self.world.accounts)
        self.asked: list[tuple[UUID, datetime, datetime, Decimal]] = []
        self.late_plan: tuple[pure.Plan, datetime] | None = None
        for name, _, asset, _ in INLINE:
            against, kind = {CNY: ("bank CNY", "own_brought_in"), JPY: ("bank JPY", "own_brought_in")}.get(
                asset, ("issued", "own_shares_given")
            )
            legs = self.world.legs((against, -Decimal(100)), (name, Decimal(100)))
            self.posts(pure.Plan(uuid7(), kind, legs))

    # Rules

    @rule(
        several=st.lists(
            st.tuples(moves, st.none() | days, st.none() | st.tuples(number, minor, st.booleans())),
            min_size=1,
            max_size=3,
        )
    )
    def post(self, several: list[tuple[Move, int | None, tuple[int, int, bool] | None]]) -> None:
        plans = []
        for move, days_back, capture in several:
            effective_at = None if days_back is None else self.now - timedelta(days=days_back)
            plan = self.world.plan_of(move)._replace(effective_at=effective_at)
            step = capture and self._capture_for(plan, *capture)
            plans.append(plan._replace(steps=(step,)) if step else plan)
        self.posts(*plans)

    @rule(
        move=moves,
        amounts=st.lists(
            st.tuples(st.integers(0, 2), minor, st.none() | st.tuples(number, minor, st.booleans())),
            min_size=1,
            max_size=7,
        ),
        mode=st.sampled_from(["per item", "paired", "one entry"]),
        days_back=st.none() | days,
        once=st.booleans(),
    )
    def post_a_set(
        self,
        move: Move,
        amounts: list[tuple[int, int, tuple[int, int, bool] | None]],
        mode: str,
        days_back: int | None,
        once: bool,
    ) -> None:
        if mode == "paired" and move.what not in ONE_INLINE:
            mode = "per item"
        effective_at = None if days_back is None else self.now - timedelta(days=days_back)
        plans: list[pure.Plan] = []
        for one, size, capture in amounts:
            plan = self.world.plan_of(move._replace(one=one, minor=size))._replace(effective_at=effective_at)
            step = capture and self._capture_for(plan, *capture)
            taken = {each.hold for before in plans for each in before.steps}
            plans.append(plan._replace(steps=(step,)) if step and step.hold not in taken else plan)
        if mode == "one entry":
            legs = tuple(leg for plan in plans for leg in plan.legs)
            steps = tuple(step for plan in plans for step in plan.steps)
            plans = [plans[0]._replace(legs=legs, steps=steps)]
        self.same(lambda: self._post_set(plans, mode, once=once), lambda: self._pure_set(plans, mode))

    @rule(holder=st.integers(0, 6), size=minor, lapses=st.none() | st.integers(-1, 20))
    def place(self, holder: int, size: int, lapses: int | None) -> None:
        name, _, asset, _ = INLINE[holder]
        lapses_at = None if lapses is None else self.now + timedelta(days=lapses)
        step = pure.Step("place", self.names[name], uuid7(), self.world.amount(asset, size), lapses_at)
        self.posts(pure.Plan(uuid7(), "own_moved", steps=(step,)))

    @precondition(lambda self: self.model.holds)
    @rule(which=number, size=st.none() | minor)
    def release(self, which: int, size: int | None) -> None:
        hold_id, hold = self._some(self.model.holds, which)
        amount = None if size is None else self.world.amount(self.model.accounts[hold.account].asset, size)
        self.posts(pure.Plan(uuid7(), "own_moved", steps=(pure.Step("release", hold.account, hold_id, amount),)))

    @rule()
    def lapse(self) -> None:
        self.same(_quiet(holds.lapse_due), lambda: self.model.lapse(now=self.now), outside=True)

    @precondition(lambda self: self.model.entries)
    @rule(which=number)
    def reverse(self, which: int) -> None:
        entry, plan = self._some(self.model.entries, which)
        if plan.kind == "reversal" or self.names["late"] in dict(plan.legs):
            return
        by = uuid7()
        written = JournalEntry.objects.get(subject=entry).id
        self.same(
            _quiet(lambda: taken_back(written, subject=by)),
            lambda: self.model.reverse(entry, by=by, now=self.now),
        )

    @rule()
    def folds(self) -> None:
        fold()

    @rule(days_on=st.integers(0, 12), seconds=st.integers(1, 86_399))
    def travel(self, days_on: int, seconds: int) -> None:
        clock.travel(self.now + timedelta(days=days_on, seconds=seconds))
        self.now = clock.now()

    @rule(move=moves, minutes=st.integers(1, 600))
    def a_machine_that_is_behind_posts(self, move: Move, minutes: int) -> None:
        self.asked.clear()  # what is recorded before now changes what was known now: that is what it means
        here, self.now = self.now, self.now - timedelta(minutes=minutes)
        self.posts(self.world.plan_of(move))
        self.now = here

    @rule(which=st.integers(0, 6), how=st.sampled_from(["closed", "frozen", "neither", "neither"]))
    def close_or_freeze(self, which: int, how: str) -> None:
        account = self.names[INLINE[which][0]]
        before = self.model.accounts[account]
        self.model.accounts[account] = before._replace(closed=how == "closed", frozen=how == "frozen")
        Account.objects.filter(id=account).update(closed=how == "closed")  # nothing closes an account yet
        if how == "frozen" and not before.frozen:
            finding = freezes.Suspicion(
                f"account {account}", f"a test at {self.now}", "a test", AccountFreeze.Reason.INVARIANT
            )
            freezes.freeze([finding])
        elif before.frozen and how != "frozen":
            case = AccountFreeze.objects.get(account_id=account, lifted_at=None)
            freezes.lift(case_id=case.pk, by=User.objects.get(accounts=account), reason="a test")

    @rule(move=moves, mistake=st.sampled_from(MISTAKES), first=moves, as_set=st.booleans())
    def a_mistake(self, move: Move, mistake: str, first: Move, as_set: bool) -> None:
        """What no ledger can write takes along what was planned beside it."""
        plan = self.world.plan_of(move)
        wrong = self.world.spoiled(plan, mistake, now=self.now)
        named = [self.model.accounts[account] for account, _ in plan.legs]
        only_gives = all(amount > 0 or self.model.accounts[account].folded for account, amount in plan.legs)
        if as_set and only_gives and wrong.legs and not wrong.steps and not any(each.closed for each in named):
            # Items are refused before mistakes are looked for, so here the mistake is one that nobody would refuse.
            right = self.world.plan_of(move._replace(minor=1))._replace(effective_at=wrong.effective_at)
            plans = [right, wrong]
            self.same(lambda: self._post_set(plans, "per item"), lambda: self._pure_set(plans, "per item"))
        else:
            self.posts(self.world.plan_of(first), wrong, whatever_it_says=True)

    @precondition(lambda self: self.late_plan is None)
    @rule(size=minor)
    def a_late_transaction_begins(self, size: int) -> None:
        amount = min(self.world.amount(CNY, size), self.model.balance(self.names["late"]))
        if amount <= 0:
            return
        plan = pure.Plan(uuid7(), "own_put_in_transit", self.world.legs(("late", -amount), ("transit CNY", amount)))
        now = self.now
        self.late_plan = plan, now

        def begin() -> None:
            transaction.set_autocommit(False)
            with clock.stopped_at(now), transaction.atomic():
                ledger.post(self._real(plan))

        self.late.does(begin)

    @precondition(lambda self: self.late_plan is not None)
    @rule(commits=st.booleans())
    def the_late_transaction_ends(self, commits: bool) -> None:
        assert self.late_plan is not None
        plan, now = self.late_plan
        self.late_plan = None
        self.asked.clear()

        def end() -> None:
            transaction.commit() if commits else transaction.rollback()
            transaction.set_autocommit(True)

        self.late.does(end)
        if commits:
            self.model.post(plan, now=now)

    @rule(which=number, days_back=days, known_back=st.integers(0, 40))
    def ask(self, which: int, days_back: int, known_back: int) -> None:
        account, _ = self._some(self.model.accounts, which)
        effective, recorded = self.now - timedelta(days=days_back), self.now - timedelta(days=known_back)
        answer = balance_as_of(account, effective=effective, recorded=recorded)
        assert answer == self.model.balance_as_of(account, effective=effective, recorded=recorded)
        if known_back and self.late_plan is None:
            self.asked.append((account, effective, recorded, answer))

    # After every step

    @invariant()
    def they_are_the_same(self) -> None:
        self.now += timedelta(milliseconds=1)
        self._compare_accounts()
        self._compare_postings()
        self._compare_holds()

    def teardown(self) -> None:
        if not hasattr(self, "now"):
            return
        if self.late_plan is not None:
            self.the_late_transaction_ends(commits=False)
        for account in self.model.accounts:  # I19: as of now, on both times, is what is current
            assert balance_as_of(account, effective=self.now, recorded=self.now) == balance_of(account)
        for account, effective, recorded, answer in self.asked:  # and no answer as known then has changed since
            assert balance_as_of(account, effective=effective, recorded=recorded) == answer
        found = faults()
        assert not found, found[:3]

    # How

    def posts(self, *plans: pure.Plan, whatever_it_says: bool = False) -> None:
        """Posts the plans on both sides. `whatever_it_says`: neither may do it, and either may find its own reason first."""
        real = [self._real(plan) for plan in plans]
        self.same(
            _quiet(lambda: ledger.post(*real)),
            lambda: self.model.post(*plans, now=self.now),
            whatever_it_says=whatever_it_says,
        )

    def same(
        self,
        real: Callable[[], Any],
        model: Callable[[], Any],
        *,
        outside: bool = False,
        whatever_it_says: bool = False,
    ) -> None:
        """Does it on both sides, and compares what came of it. `outside`: it has transactions of its own."""
        expected = self._outcome(model)
        with clock.stopped_at(self.now):
            found = self._outcome(real if outside else lambda: self._committed(real))
        if whatever_it_says:
            assert "done" not in {expected[0], found[0]}, (expected, found)
        else:
            assert found == expected

    def _committed(self, act: Callable[[], Any]) -> Any:
        with transaction.atomic():
            return act()

    def _outcome(self, act: Callable[[], Any]) -> Any:
        try:
            return "done", act()
        except pure.Refused as refusal:
            return "refused", str(refusal)
        except DomainError as refusal:
            return "refused", refusal.code
        except (pure.Fault, LedgerFault, IntegrityError):
            return "at fault", None

    def _post_set(self, plans: list[pure.Plan], mode: str, *, once: bool = False) -> dict[UUID, str]:
        rows = []
        for plan in plans:
            legs = [leg for leg in plan.legs if mode != "paired" or not self.model.accounts[leg[0]].folded]
            others = [leg[0] for leg in plan.legs if leg not in legs]
            rows += [
                (None if mode == "one entry" else plan.id, account, amount, plan.id, others[0] if others else None)
                for account, amount in legs
            ]
        inline = [row[1] for row in rows if row[1] in self.model.accounts and not self.model.accounts[row[1]].folded]
        steps = [
            (row_item, step)
            for plan in plans
            for step in plan.steps
            for row_item in [None if mode == "one entry" else plan.id]
        ]
        params: dict[str, Any] = {
            "positions": list(range(1, len(rows) + 1)),
            **dict(
                zip(
                    ("items", "accounts", "amounts", "subjects", "others"),
                    map(list, zip(*rows, strict=True)),
                    strict=True,
                )
            ),
            "capturing": [item for item, _ in steps],
            "holds": [step.hold for _, step in steps],
            "holders": [step.account for _, step in steps],
            "parts": [step.amount for _, step in steps],
            "finals": [step.final for _, step in steps],
        }
        result = post_set(
            kind=KINDS[plans[0].kind],
            legs=SET_LEGS.format(against=", l.against" if mode == "paired" else ""),
            params=params,
            captures=SET_CAPTURES if steps else None,
            one_entry=plans[0].id if mode == "one entry" else None,
            subject=plans[0].id if mode == "one entry" else None,
            effective_at=plans[0].effective_at,
            one_leg_per_account=once and len(inline) == len(set(inline)),
            paired=mode == "paired",
        )
        assert result.posted == len(plans) - len(result.refused)
        return result.refused

    def _pure_set(self, plans: list[pure.Plan], mode: str) -> dict[UUID, str]:
        if mode == "one entry":
            self.model.post(*plans, now=self.now)
            return {}
        return self.model.post_set(plans, now=self.now)

    def _capture_for(self, plan: pure.Plan, which: int, size: int, final: bool) -> pure.Step | None:
        """A capture, for a leg of the plan to spend, of a hold on the account that loses most."""
        account, amount = min(plan.legs, key=lambda leg: leg[1])
        fitting = {
            name: hold for name, hold in self.model.holds.items() if hold.account == account and hold.state == "open"
        }
        if not fitting:
            return None
        name, hold = self._some(fitting, which)
        part = min(hold.remaining, -amount, self.world.amount(self.model.accounts[account].asset, size))
        return pure.Step("capture", account, name, part, final=final)

    def _real(self, plan: pure.Plan) -> ledger.Plan:
        steps: list[holds.HoldStep] = []
        for step in plan.steps:
            match step.does:
                case "place":
                    assert step.amount is not None
                    steps.append(holds.PlaceHold(step.account, step.hold, step.amount, plan.id, step.lapses_at))
                case "capture":
                    assert step.amount is not None
                    steps.append(holds.CaptureHold(step.account, step.hold, step.amount, step.final))
                case _:
                    steps.append(holds.ReleaseHold(step.account, step.hold, step.amount))
        return ledger.Plan(
            kind=KINDS[plan.kind],
            subject=plan.id,
            legs=[ledger.Leg(account, amount) for account, amount in plan.legs],
            effective_at=plan.effective_at,
            holds=steps,
            entry_id=plan.id,
        )

    def _compare_accounts(self) -> None:
        rows = Account.objects.filter(id__in=list(self.model.accounts)).values_list(
            "id", "folded", "balance", "held", "last_sequence", "closed", "frozen"
        )
        for name, folded, balance, held, last_sequence, closed, frozen in rows:
            account = self.model.accounts[name]
            postings = self.model.postings_of(name)
            found = (balance_of(name) if folded else balance, held, last_sequence, closed, frozen)
            expected = (self.model.balance(name), self.model.held(name), 0 if folded else len(postings))
            assert found == (*expected, account.closed, account.frozen), account

    def _compare_postings(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT account_id, sequence, subject, amount, balance_after, effective_at, recorded_at, entry_id "
                "FROM wallet_posting WHERE account_id = ANY(%s)",
                [list(self.model.accounts)],
            )
            rows = cursor.fetchall()
        folded = {name for name, account in self.model.accounts.items() if account.folded}
        found = [pure.Posting(row[0], None if row[0] in folded else row[1], *row[2:7]) for row in rows]
        assert Counter(found) == Counter(self.model.postings)
        assert len({row[7] for row in rows}) == len({row[2] for row in rows})

    def _compare_holds(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT id, account_id, amount, remaining, lapses_at, captured, released, lapsed, state "
                "FROM wallet_hold WHERE account_id = ANY(%s)",
                [list(self.model.accounts)],
            )
            assert {row[0]: pure.Hold(*row[1:]) for row in cursor.fetchall()} == self.model.holds

    def _some(self, among: dict[UUID, Any], which: int) -> tuple[UUID, Any]:
        return list(among.items())[which % len(among)]
