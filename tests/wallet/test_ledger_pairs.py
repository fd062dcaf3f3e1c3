"""A pair in one statement: the same as locked first, refused and faulty in the same words, timed by the database."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from payments.flows import TRANSFER_RETURNED, TRANSFER_SENT
from superapp import clock
from superapp.ids import uuid7
from superapp.models import Installation
from tests.wallet.ledger_world import World, a_ledger, balance, everything, faults, postings_of
from wallet import accounts, flows, ledger, ledger_pairs, usage
from wallet.balances import balance_of
from wallet.errors import AccountClosed, AccountFrozen, InsufficientFunds, LedgerFault
from wallet.flows import UsageClass
from wallet.ledger import Leg, Plan, PostedEntry
from wallet.models import Account, JournalEntry, Posting

pytestmark = pytest.mark.django_db

FIRST = datetime(2013, 7, 2, 15, 59, 59, 999_999, tzinfo=UTC)
"""The last microsecond of 2013-07-02 in Shanghai."""


def _statements(act: Callable[[], object]) -> list[str]:
    with CaptureQueriesContext(connection) as asked:
        act()
    return [query["sql"] for query in asked.captured_queries]


def _post(plan: Plan) -> PostedEntry:
    with transaction.atomic():
        return ledger.post(plan)[0]


def _locked_first(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> PostedEntry:
    with monkeypatch.context() as patched:
        patched.setattr(ledger, "post_pair", lambda **_: None)
        return _post(plan)


@pytest.mark.parametrize("direction", ["sent", "topped up"])
def test_a_pair_is_one_statement(direction: str) -> None:
    world = a_ledger(balances=["100.00"])
    world.send(0, "1.00")
    act = (lambda: world.send(0, "5.00")) if direction == "sent" else (lambda: world.top_up(0, "5.00"))
    # What this process would remember of the system's accounts, were they committed, aside.
    said = [statement for statement in _statements(act) if not re.match('[A-Z ]*SAVEPOINT|SELECT "wallet_', statement)]
    assert len(said) == 1
    assert "UPDATE wallet_account" in said[0]


def test_a_pair_writes_what_locking_first_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    world = a_ledger(balances=["100.00", "100.00"])
    one, two = (world.sending(wallet, "30.50") for wallet in (0, 1))

    with clock.stopped_at(clock.now()):
        paid, locked = _post(one), _locked_first(two, monkeypatch)

    assert (paid.recorded_at, paid.effective_at) == (locked.recorded_at, locked.effective_at)
    assert list(paid.balances.values()) == list(locked.balances.values()) == [Decimal("69.50")]
    assert _rows(world, 0, one) == _rows(world, 1, two)
    assert balance_of(world.in_transit) == 61
    assert faults() == []


def _rows(world: World, wallet: int, plan: Plan) -> list[object]:
    """What the database holds of a plan, but for ids and the system's own sequence."""
    account = Account.objects.filter(pk=world.wallets[wallet])
    entry = JournalEntry.objects.filter(pk=plan.entry_id, subject=plan.subject)
    postings = Posting.objects.filter(entry_id=plan.entry_id, subject=plan.subject).order_by("amount")
    times = ("effective_at", "recorded_at")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT usage_class, day, amount, count FROM wallet_usage WHERE account_id = %s", [account[0].pk]
        )
        counted = cursor.fetchall()
    return [
        *account.values_list("balance", "held", "last_sequence", "last_recorded_at"),
        *entry.values_list("kind", "reverses", *times),
        *postings.values_list("asset", "amount", "balance_after", *times),
        *postings.filter(account=account[0].pk).values_list("sequence"),
        *counted,
    ]


@pytest.mark.parametrize(
    ("state", "amount", "refusal"),
    [
        ({}, "10.01", InsufficientFunds),
        ({"held": Decimal("4.00")}, "6.01", InsufficientFunds),
        ({"frozen": True}, "1.00", AccountFrozen),
        ({"closed": True}, "1.00", AccountClosed),
    ],
)
def test_what_the_row_does_not_allow_is_refused_by_the_locked_way_and_changes_nothing(
    state: dict[str, object], amount: str, refusal: type[Exception]
) -> None:
    world = a_ledger(balances=["10.00"])
    Account.objects.filter(pk=world.wallets[0]).update(**state)
    before = everything()
    with pytest.raises(refusal):
        world.send(0, amount)
    assert everything() == before


@pytest.mark.parametrize(("state", "amount"), [({"held": Decimal("4.00")}, "6.00"), ({"credit_limit": 5}, "15.00")])
def test_the_last_cent_that_is_available_may_go(state: dict[str, object], amount: str) -> None:
    world = a_ledger(balances=["10.00"])
    Account.objects.filter(pk=world.wallets[0]).update(**state)
    world.send(0, amount)
    assert balance(world.wallets[0]) == 10 - Decimal(amount)


def test_a_frozen_account_takes_what_comes_in() -> None:
    world = a_ledger(balances=["10.00"])
    Account.objects.filter(pk=world.wallets[0]).update(frozen=True)
    said = _statements(lambda: world.top_up(0, "5.00"))
    assert [statement for statement in said if "FOR NO KEY UPDATE" in statement] == []
    assert balance(world.wallets[0]) == 15


def test_what_is_no_pair_of_its_flow_is_a_fault_in_the_words_of_the_locked_way() -> None:
    world, dollars = a_ledger(balances=["10.00"]), a_ledger(balances=["10.00"], currency="USD")
    wallet = Account.objects.get(pk=world.wallets[0])
    other = Account.objects.create(
        owner=wallet.owner, kind=flows.FUND.code, asset=wallet.asset, balance=Decimal(10), created_at=clock.now()
    )
    before = everything()
    for legs, why in [
        ([Leg(world.wallets[0], Decimal(-1)), Leg(dollars.in_transit, Decimal(1))], "sum to zero in each asset"),
        ([Leg(uuid7(), Decimal(-1)), Leg(world.in_transit, Decimal(1))], "does not exist"),
        ([Leg(world.wallets[0], Decimal(-1)), Leg(world.bank, Decimal(1))], "may not move bank"),
        ([Leg(world.in_transit, Decimal(-1)), Leg(world.wallets[0], Decimal(1))], "may not move"),
        ([Leg(other.pk, Decimal(-1)), Leg(world.in_transit, Decimal(1))], "may not move fund"),
    ]:
        with pytest.raises(LedgerFault, match=why):
            _post(Plan(kind=TRANSFER_SENT, subject=uuid7(), legs=legs))
    assert everything() == before


def test_a_pair_with_a_time_of_its_own_or_that_gives_usage_back_is_locked_first() -> None:
    world = a_ledger(balances=["10.00"])
    sent = world.send(0, "4.00")
    legs = [Leg(world.in_transit, Decimal(-1)), Leg(world.wallets[0], Decimal(1))]
    day = usage.day_of(sent.recorded_at)
    for plan in (
        Plan(kind=TRANSFER_RETURNED, subject=uuid7(), legs=legs, counted_on=day),
        Plan(kind=TRANSFER_SENT, subject=uuid7(), legs=world.sending(0, "1.00").legs, effective_at=sent.recorded_at),
    ):
        said = _statements(lambda plan=plan: _post(plan))  # type: ignore[misc]
        assert [statement for statement in said if "FOR NO KEY UPDATE" in statement] != []


def test_usage_is_counted_on_the_business_day_on_which_the_pair_is_recorded() -> None:
    world = a_ledger(balances=["10.00"])
    clock_at = Account.objects.filter(pk=world.wallets[0])
    clock_at.update(last_recorded_at=FIRST - timedelta(days=1))
    for instant, amount in ((FIRST, "1.00"), (FIRST, "2.00"), (FIRST + timedelta(microseconds=1), "3.00")):
        with clock.stopped_at(instant):
            world.send(0, amount)
    (usage_class,) = {TRANSFER_SENT.uses.usage_class} if TRANSFER_SENT.uses else set[UsageClass]()
    first = date(2013, 7, 2)
    assert usage.used(world.wallets, usage_class, last=first) == usage.Used(amount=Decimal(3), count=2)
    later = usage.used(world.wallets, usage_class, first=first + timedelta(days=1))
    assert later == usage.Used(amount=Decimal(3), count=1)


def test_recorded_time_never_falls_on_an_account() -> None:
    world = a_ledger(balances=["10.00"])
    later = clock.now() + timedelta(hours=1)
    Account.objects.filter(pk=world.wallets[0]).update(last_recorded_at=later)
    assert world.send(0, "1.00").recorded_at == later
    assert Account.objects.get(pk=world.wallets[0]).last_recorded_at == later


def test_the_database_keeps_the_time_of_the_site() -> None:
    """At the distance of a sandbox's clock, still where it stands still, and after the transaction has its number."""
    world = a_ledger(balances=["10.00"])
    with clock.stopped_at(clock.now() + timedelta(days=3)):
        assert world.send(0, "1.00").recorded_at == clock.now()
    Account.objects.filter(pk=world.wallets[0]).update(last_recorded_at=None)
    assert Installation.objects.filter(pk=1).exists()
    Installation.objects.filter(pk=1).update(clock_offset=timedelta(days=400, seconds=7))
    clock.forget()
    before = clock.now()
    recorded_at = world.send(0, "1.00").recorded_at
    assert before < recorded_at < clock.now()
    assert recorded_at - timezone.now() > timedelta(days=399)


def test_every_kind_of_entry_with_one_owner_and_one_system_side_is_posted_as_a_pair() -> None:
    moves = {kind.code: ledger_pairs._owner_moves(kind.code) for kind in flows.entry_kinds()}
    assert moves[TRANSFER_SENT.code] == -1
    assert moves[flows.TOP_UP.code] == 1
    assert moves[TRANSFER_RETURNED.code] == 0
    assert moves[flows.REVERSAL.code] == 0
    in_funds = {kind.code for kind in flows.entry_kinds() if any(leg.account is flows.FUND for leg in kind.legs)}
    assert {moves[code] for code in in_funds} == {0}


def test_an_account_of_the_system_that_this_process_never_met_is_looked_up_once() -> None:
    world = a_ledger(balances=["10.00"])
    assert accounts.known_system_account(world.in_transit) is not None
    assert accounts.known_system_account(world.wallets[0]) is None
    assert postings_of(world.wallets[0]) == [(1, Decimal(10), Decimal(10))]
