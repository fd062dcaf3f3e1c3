"""Who waits for whom, and for whom nobody waits: the locks of keys, PINs, banks, transfers and accounts, each forced."""

import itertools
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import DatabaseError, connection, transaction

from payments import settlement, threads, transfers
from payments.flows import TRANSFER_SENT, TRANSFER_SETTLED
from payments.models import Transfer
from payments.payees import Payee
from superapp import idempotency
from superapp.ids import uuid7
from superapp.models import User
from superapp.money import positive
from tests.concurrency.locks import forces
from tests.factories import PIN, a_payer, a_person, a_transfer
from tests.interleaving import actors, in_a_transaction
from tests.picture import assert_ledger_is_sound
from tests.wallet.ledger_world import World, a_ledger, balance, faults
from wallet import bank_callbacks, ledger, pins, top_ups, wallets
from wallet.balances import balance_of
from wallet.errors import InsufficientFunds, PinLocked
from wallet.folding import fold
from wallet.ledger import Leg, Plan
from wallet.ledger_sets import post_set
from wallet.models import Account, BankCallback, JournalEntry, PaymentPin, Posting

pytestmark = pytest.mark.usefixtures("module_db")

KEY_TAKEN = "INSERT INTO superapp_idempotencykey"
ACCOUNTS_LOCKED = "FROM wallet_account"


# The request's key


def _send(sender: User, recipient: User, *, key: str) -> Callable[[], transfers.Sent]:
    return lambda: transfers.send_money(
        sender_id=sender.pk, to=Payee(id=recipient.pk), amount=Decimal(30), currency="CNY", note="", pin=PIN, key=key
    )


@forces("a request's key")
def test_a_duplicate_waits_for_the_first_request_and_gets_its_answer() -> None:
    ann, ben = a_payer("100.00"), a_payer("0")
    with actors(2) as (first, second):
        first.begin(_send(ann, ben, key="k"), stop_after=KEY_TAKEN)
        second.begin(lambda: idempotency_only(ann, ben, key="k"))
        second.waits_for(first)
        first.go_on()
        sent, repeated = first.answer(), second.answer()
    assert (sent.replayed, repeated.replayed) == (False, True)
    assert repeated.answer["transfer"] == str(sent.transfer_id)
    assert Account.objects.get(owner=ann).balance == 70


def idempotency_only(sender: User, recipient: User, *, key: str) -> idempotency.Done:
    """The same request, past its PIN: that is looked at before the key is, and looks stand in a line of their own."""
    return idempotency.once(
        user_id=sender.pk,
        operation="sendMoney",
        key=key,
        request={
            "to": Payee(id=recipient.pk).as_request(),
            "amount": positive(Decimal(30), "CNY"),
            "note": "",
        },
        act=lambda: pytest.fail("a duplicate acted"),
    )


@forces("a request's key")
def test_a_duplicate_acts_itself_when_the_first_request_came_to_nothing() -> None:
    ann, ben = a_payer("100.00"), a_payer("0")

    def fails() -> dict[str, str]:
        raise ZeroDivisionError

    def once(act: Callable[[], dict[str, str]]) -> Callable[[], idempotency.Done]:
        return lambda: idempotency.once(user_id=ann.pk, operation="o", key="k", request={}, act=act)

    with actors(2) as (first, second):
        first.begin(once(fails), stop_after=KEY_TAKEN)
        second.begin(once(lambda: {"to": str(ben.pk)}))
        second.waits_for(first)
        first.go_on()
        with pytest.raises(ZeroDivisionError):
            first.answer()
        assert second.answer() == idempotency.Done(answer={"to": str(ben.pk)}, replayed=False)


# The payment PIN


def _tried(person: User, tries: int) -> None:
    PaymentPin.objects.filter(user=person).update(tries=tries)


@forces("a person's looks at the PIN")
def test_payments_sent_together_with_the_right_pin_do_not_count_against_each_other() -> None:
    ann = a_payer("0")
    _tried(ann, 3)  # one look more may go wrong; of two that are only counted the second would be the fifth
    with actors(2) as (first, second):
        first.begin(lambda: pins.verify(user_id=ann.pk, pin=PIN), stop_after="UPDATE wallet_paymentpin")
        second.begin(lambda: pins.verify(user_id=ann.pk, pin=PIN))
        second.waits_for(first)
        first.go_on()
        assert (first.answer(), second.answer()) == (None, None)
    row = PaymentPin.objects.get(user=ann)
    assert (row.tries, row.locked_until) == (0, None)


@forces("a person's tries")
def test_of_two_looks_at_once_the_one_that_is_too_many_is_not_taken() -> None:
    ann = a_payer("0")
    _tried(ann, 4)
    with actors(2) as (first, second):
        first.begin(lambda: pins._count_a_try(ann.pk, allowed=5), stop_after="UPDATE wallet_paymentpin")
        second.begin(lambda: pins._count_a_try(ann.pk, allowed=5))
        second.waits_for(first)
        first.go_on()
        assert first.answer()[1] == 5
        with pytest.raises(PinLocked):
            second.answer()
    assert PaymentPin.objects.get(user=ann).tries == 5


# The bank's messages


def _says(top_up_id: UUID, *, reference: str, status: str = "confirmed") -> Callable[[], BankCallback]:
    return lambda: bank_callbacks.record_callback(
        rail="sandbox",
        reference=reference,
        instruction=str(top_up_id),
        status=status,
        amount=Decimal("40.00"),
        currency="CNY",
    )


def _asked_for(person: User) -> UUID:
    return top_ups.top_up(owner_id=person.pk, amount=Decimal(40), currency="CNY", key=str(uuid4())).top_up_id


@forces("a bank's message")
def test_a_message_that_comes_twice_at_once_is_acted_on_once() -> None:
    ann = a_payer("0")
    asked = _asked_for(ann)
    says = _says(asked, reference=f"doubled {asked}")
    with actors(2) as (first, second):
        first.begin(says, stop_after='INSERT INTO "wallet_bankcallback"')
        second.begin(says)
        second.waits_for(first)
        first.go_on()
        assert first.answer().id == second.answer().id
    assert Account.objects.get(owner=ann).balance == 40
    assert_ledger_is_sound()


@forces("a bank's message")
def test_a_refused_message_that_is_repeated_twice_at_once_is_acted_on_once() -> None:
    ann = a_payer("0")
    asked = _asked_for(ann)
    says = _says(asked, reference=f"repeated {asked}")
    Account.objects.filter(owner=ann).update(closed=True)
    assert says().outcome == BankCallback.Outcome.REFUSED
    Account.objects.filter(owner=ann).update(closed=False)
    with actors(2) as (first, second):
        first.begin(says, stop_after='FROM "wallet_bankcallback"')
        second.begin(says)
        second.waits_for(first)
        first.go_on()
        assert [first.answer().outcome, second.answer().outcome] == ["applied", "applied"]
    assert JournalEntry.objects.filter(subject=asked).count() == 1
    assert_ledger_is_sound()


@forces("a top-up the bank speaks of")
def test_of_two_contradicting_messages_at_once_the_second_sees_what_the_first_has_done() -> None:
    ann = a_payer("0")
    asked = _asked_for(ann)
    with actors(2) as (first, second):
        first.begin(_says(asked, reference=f"first {asked}"), stop_after='FROM "wallet_topup"')
        second.begin(_says(asked, reference=f"second {asked}", status="declined"))
        second.waits_for(first)
        first.go_on()
        assert [first.answer().outcome, second.answer().outcome] == ["applied", "conflict"]
    assert Account.objects.get(owner=ann).balance == 40


# Transfers


@forces("due transfers")
def test_a_worker_passes_over_what_another_one_settles_and_does_not_wait() -> None:
    settlement.settle_everything_due()
    ann, ben = a_payer("100.00"), a_payer("0")
    for _ in range(2):
        a_transfer(ann, ben)
    with actors(2) as (first, second):
        first.begin(lambda: settlement.settle_due(limit=1), stop_after="FROM payments_transfer")
        assert second.does(settlement.settle_due).ended <= 1  # the other one, or none where they share a lane
        first.go_on()
        assert first.answer().ended >= 1
    settlement.settle_everything_due()
    assert Account.objects.get(owner=ben).balance == 20
    assert Transfer.objects.filter(sender=ann, state="settled").count() == 2
    assert_ledger_is_sound()


@forces("a pair's thread")
@pytest.mark.parametrize("first_stays", [True, False])
def test_two_people_who_begin_a_thread_with_each_other_at_once_have_one(first_stays: bool) -> None:
    ann, ben = a_person(), a_person()

    def opens() -> UUID:
        thread = threads.open_thread(ann.pk, ben.pk)
        transaction.set_rollback(not first_stays)
        return thread

    with actors(2) as (first, second):
        first.begin(in_a_transaction(opens), stop_after="INSERT INTO payments_thread")
        second.begin(in_a_transaction(lambda: threads.open_thread(ben.pk, ann.pk)))
        second.waits_for(first)
        first.go_on()
        assert (first.answer() == second.answer()) is first_stays
    assert threads.threads_of(ann.pk).count() == 1


@forces("a person's new account")
@pytest.mark.parametrize("first_stays", [True, False])
def test_a_wallet_that_two_open_at_once_is_one(first_stays: bool) -> None:
    ann = a_person()

    def opens() -> UUID:
        account = wallets.open_wallet(owner_id=ann.pk, currency="CNY").pk
        transaction.set_rollback(not first_stays)
        return account

    with actors(2) as (first, second):
        first.begin(in_a_transaction(opens), stop_after='INSERT INTO "wallet_account"')
        second.begin(in_a_transaction(lambda: wallets.open_wallet(owner_id=ann.pk, currency="CNY").pk))
        second.waits_for(first)
        first.go_on()
        assert (first.answer() == second.answer()) is first_stays
    assert Account.objects.filter(owner=ann).count() == 1


# Accounts, by id


def _in_order(world: World) -> list[UUID]:
    return sorted(world.wallets)


def _moves(world: World, *accounts: UUID) -> list[Plan]:
    """One yuan from the first of the accounts by each of the others in turn: every row is locked by one call."""
    plans = []
    for giver, taker in itertools.pairwise(accounts):
        out, into = [Leg(giver, Decimal(-1)), Leg(world.in_transit, Decimal(1))], [Leg(taker, Decimal(1))]
        plans.append(Plan(kind=TRANSFER_SENT, subject=uuid7(), legs=out))
        into.append(Leg(world.in_transit, Decimal(-1)))
        plans.append(Plan(kind=TRANSFER_SETTLED, subject=uuid7(), legs=into))
    return plans


def _singles(world: World, accounts: list[UUID]) -> Any:
    return ledger.post(*_moves(world, *accounts))


SET = """
    SELECT account AS item, n AS position, account AS account_id, -1.00::numeric AS amount, account AS subject,
           %(transit)s::uuid AS against
    FROM unnest(%(accounts)s::uuid[]) WITH ORDINALITY AS i (account, n) ORDER BY n
"""


def _set(world: World, accounts: list[UUID]) -> Any:
    return post_set(
        kind=TRANSFER_SENT, legs=SET, params={"accounts": accounts, "transit": world.in_transit}, paired=True
    )


DOORS = {"post": _singles, "post_set": _set}


def _free(account: UUID) -> bool:
    """Whether nobody holds the account's row."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM wallet_account WHERE id = %s FOR NO KEY UPDATE NOWAIT", [account])
    except DatabaseError:
        return False
    return True


@forces("accounts, by id")
@pytest.mark.parametrize("turn", ["forwards", "backwards"])
@pytest.mark.parametrize("door", DOORS)
def test_who_waits_for_an_account_holds_none_behind_it(door: str, turn: str) -> None:
    """What makes cycles impossible, of any length: whatever the order in which accounts are named."""
    world = a_ledger(balances=["100.00"] * 4)
    low, *others = _in_order(world)
    # The rows lie in another order than their ids: without ORDER BY they would be locked as they lie.
    for account in reversed([low, *others]):
        Account.objects.filter(id=account).update(credit_limit=1)
    named = [low, *others] if turn == "forwards" else [*reversed(others), low]
    with actors(2) as (first, second):
        first.begin(in_a_transaction(lambda: ledger.lock_accounts([low])), stop_after=ACCOUNTS_LOCKED)
        second.begin(in_a_transaction(lambda: DOORS[door](world, named)))
        second.waits_for(first)
        assert [_free(account) for account in others] == [True] * 3
        first.go_on()
        first.answer()
        second.answer()
    assert faults() == []


PAIRS = [("post", "post"), ("post", "post_set"), ("post_set", "post"), ("post_set", "post_set")]


@forces("accounts, by id")
@pytest.mark.parametrize(("one", "other"), PAIRS, ids=[f"{one} against {other}" for one, other in PAIRS])
def test_in_opposite_directions_the_second_waits_and_then_goes_on(one: str, other: str) -> None:
    """A to B with B to A: no deadlock, and each of them sees what the one before has left."""
    world = a_ledger(balances=["100.00"] * 2)
    there, back = list(world.wallets), list(reversed(world.wallets))
    with actors(2) as (first, second):
        first.begin(in_a_transaction(lambda: DOORS[one](world, there)), stop_after=ACCOUNTS_LOCKED)
        second.begin(in_a_transaction(lambda: DOORS[other](world, back)))
        second.waits_for(first)
        first.go_on()
        first.answer()
        second.answer()
    assert faults() == []
    by_sets = [one, other].count("post_set")
    assert sum(balance(wallet) for wallet in world.wallets) == 200 - 2 * by_sets


@forces("accounts, by id")
@pytest.mark.parametrize("door", DOORS)
def test_in_a_ring_of_three_each_waits_for_one_before_and_all_go_on(door: str) -> None:
    world = a_ledger(balances=["100.00"] * 3)
    a, b, c = _in_order(world)
    with actors(3) as (first, second, third):
        first.begin(in_a_transaction(lambda: DOORS[door](world, [a, b])), stop_after=ACCOUNTS_LOCKED)
        second.begin(in_a_transaction(lambda: DOORS[door](world, [b, c])))
        second.waits_for(first)
        third.begin(in_a_transaction(lambda: DOORS[door](world, [c, a])))
        third.waits_for(first)
        first.go_on()
        for actor in (first, second, third):
            actor.answer()
    assert faults() == []


WAYS: dict[str, tuple[tuple[str, ...], str]] = {
    "as a pair": (("1.00",), "UPDATE wallet_account"),
    "locked first": (("0.60", "0.40"), ACCOUNTS_LOCKED),
}
"""Two ways to spend a wallet's 1.00: what one call of `post` sends, and by which statement it has the account's row."""


@forces("accounts, by id")
@pytest.mark.parametrize("after", [*WAYS, "in a set"])
@pytest.mark.parametrize("before", WAYS)
def test_who_waited_decides_by_what_the_one_before_has_left(before: str, after: str) -> None:
    world = a_ledger(balances=["1.00"])

    def spend(way: str) -> Callable[[], object]:
        if way not in WAYS:
            return in_a_transaction(lambda: _set(world, world.wallets))
        return in_a_transaction(lambda: ledger.post(*(world.sending(0, part) for part in WAYS[way][0])))

    with actors(2) as (first, second):
        first.begin(spend(before), stop_after=WAYS[before][1])
        second.begin(spend(after))
        second.waits_for(first)
        first.go_on()
        first.answer()
        if after in WAYS:
            with pytest.raises(InsufficientFunds):
                second.answer()
        else:
            assert list(second.answer().refused.values()) == ["INSUFFICIENT_FUNDS"]
    assert balance(world.wallets[0]) == 0
    assert Posting.objects.filter(account_id=world.wallets[0]).count() == 1 + len(WAYS[before][0])
    assert faults() == []


@forces("accounts, by id")
@pytest.mark.parametrize("after", WAYS)
@pytest.mark.parametrize("before", WAYS)
def test_who_waited_is_recorded_after_the_one_before(before: str, after: str) -> None:
    """`recorded_at` is taken after the account's lock: it never falls on one account, whoever asked first."""
    world = a_ledger(balances=["10.00"])

    def spend(way: str) -> Callable[[], Any]:
        return in_a_transaction(lambda: ledger.post(*(world.sending(0, part) for part in WAYS[way][0])))

    with actors(2) as (first, second):
        first.begin(spend(before), stop_after="INSERT INTO wallet_posting")
        second.begin(spend(after))
        second.waits_for(first)
        first.go_on()
        before, after = first.answer()[0].recorded_at, second.answer()[0].recorded_at
    assert before < after


# Folding


def _balances(world: World) -> tuple[Decimal, Decimal]:
    return balance_of(world.bank), balance_of(world.in_transit)


@forces("the fold's checkpoint")
def test_of_two_folds_at_once_the_second_adds_nothing_twice() -> None:
    world = a_ledger(balances=["100.00"])
    before = _balances(world)
    with actors(2) as (first, second):
        first.begin(fold, stop_after="SELECT tx FROM wallet_foldcheckpoint")
        second.begin(fold)
        second.waits_for(first)
        first.go_on()
        first.answer()
        second.answer()
    assert _balances(world) == before
    assert faults() == []


@forces("the fold's checkpoint")
@pytest.mark.parametrize("commits", [True, False])
def test_a_fold_passes_over_nothing_that_commits_late(commits: bool) -> None:
    """The late one has drawn its transaction's number before the others, and comes to its end after the fold."""
    world = a_ledger(balances=["100.00", "100.00"])
    bank, in_transit = _balances(world)

    def late() -> None:
        world.send(0, "7.00")
        transaction.set_rollback(not commits)

    with actors(1) as (slow,):
        slow.begin(in_a_transaction(late), stop_after="INSERT INTO wallet_posting")
        world.send(1, "10.00")
        fold()
        assert _balances(world) == (bank, in_transit + 10)
        slow.go_on()
        slow.answer()
    expected = (bank, in_transit + (17 if commits else 10))
    assert _balances(world) == expected
    fold()
    assert _balances(world) == expected
    assert faults() == []
