"""Credits in one statement: what each row decides by itself, whoever comes between, and what is refused or no credit."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from django.db import DatabaseError, connection, transaction

from payments.flows import TRANSFER_RETURNED, TRANSFER_SENT, TRANSFER_SETTLED
from superapp import clock
from superapp.ids import uuid7
from superapp.sql_files import SqlParameters
from tests.interleaving import actors, in_a_transaction
from tests.wallet.ledger_world import World, a_ledger, balance, everything, faults, postings_of
from wallet import credit_sets, ledger
from wallet.balances import balance_of
from wallet.credit_sets import post_credits
from wallet.errors import LedgerFault
from wallet.flows import EntryKind
from wallet.ledger_sets import SetResult
from wallet.models import Account, JournalEntry, Posting

CREDITS = """
    SELECT i.item, i.position, i.wallet AS account_id, i.amount, %(against)s::uuid AS against
    FROM unnest(%(items)s::uuid[], %(wallets)s::uuid[], %(amounts)s::numeric[]) WITH ORDINALITY
         AS i (item, wallet, amount, position)
"""


def a_world(*balances: str) -> World:
    """Wallets with these balances, and 1,000.00 more in transit."""
    world = a_ledger(balances=[*balances, "1000.00"])
    world.send(len(balances), "1000.00")
    return world


def credit(
    world: World, rows: Sequence[tuple[int, str]], *, kind: EntryKind = TRANSFER_SETTLED, then: Sequence[str] = ()
) -> tuple[SetResult, list[UUID]]:
    items = [uuid7() for _ in rows]
    params: SqlParameters = {
        "items": items,
        "wallets": [world.wallets[wallet] for wallet, _ in rows],
        "amounts": [Decimal(amount) for _, amount in rows],
        "against": world.in_transit,
    }
    with transaction.atomic():
        return post_credits(kind=kind, credits=CREDITS, params=params, then=then), items


@pytest.mark.usefixtures("db")
def test_each_credit_is_an_entry_of_its_own_in_the_order_of_positions() -> None:
    world = a_world("0", "5.00")
    before = balance_of(world.in_transit)

    result, items = credit(world, [(0, "10.00"), (1, "20.00"), (0, "30.00"), (0, "0.01")])

    assert (result.posted, result.legs, result.refused) == (4, 8, {})
    assert postings_of(world.wallets[0]) == [(1, 10, 10), (2, 30, 40), (3, Decimal("0.01"), Decimal("40.01"))]
    assert postings_of(world.wallets[1])[1:] == [(2, 20, 25)]
    assert before - balance_of(world.in_transit) == Decimal("60.01")
    for item in items:
        entry = JournalEntry.objects.get(subject=item)
        assert (entry.kind, entry.recorded_at, entry.effective_at) == (
            "transfer_settled",
            result.recorded_at,
            result.recorded_at,
        )
        assert {posting.subject for posting in entry.postings.all()} == {item}
    assert faults() == []


@pytest.mark.usefixtures("db")
def test_what_a_closed_account_cannot_take_is_refused_and_the_rest_is_written() -> None:
    world = a_world("0", "0")
    Account.objects.filter(id=world.wallets[0]).update(closed=True)

    result, items = credit(world, [(0, "10.00"), (1, "20.00"), (0, "1.00")])

    assert result.refused == {items[0]: "ACCOUNT_CLOSED", items[2]: "ACCOUNT_CLOSED"}
    assert (result.posted, postings_of(world.wallets[0]), balance(world.wallets[1])) == (1, [], 20)
    assert faults() == []


@pytest.mark.usefixtures("db")
def test_nothing_to_credit_writes_nothing() -> None:
    world = a_world()
    before = everything()
    assert credit(world, [])[0].posted == 0
    assert everything() == before


@pytest.mark.usefixtures("committed_db")
def test_a_spender_who_has_the_row_first_is_waited_for_and_the_credit_stands_on_what_is_left() -> None:
    world = a_world("100.00", "0")
    with actors(2) as (spender, settler):
        spender.begin(in_a_transaction(lambda: ledger.post(world.sending(0, "60.00"))), stop_after="INSERT INTO")
        settler.begin(lambda: credit(world, [(1, "1.00"), (0, "5.00"), (0, "7.00")]))
        settler.waits_for(spender)
        spender.go_on()
        spender.answer()
        settler.answer()
    assert postings_of(world.wallets[0])[1:] == [(2, -60, 40), (3, 5, 45), (4, 7, 52)]
    assert faults() == []


@pytest.mark.usefixtures("committed_db")
def test_an_account_that_is_closed_while_the_set_waits_for_it_is_not_credited() -> None:
    world = a_world("0", "0")
    with actors(2) as (closer, settler):
        closer.begin(
            in_a_transaction(lambda: Account.objects.filter(id=world.wallets[0]).update(closed=True)),
            stop_after="UPDATE",
        )
        settler.begin(lambda: credit(world, [(0, "5.00"), (1, "1.00")]))
        settler.waits_for(closer)
        closer.go_on()
        closer.answer()
        result, items = settler.answer()
    assert result.refused == {items[0]: "ACCOUNT_CLOSED"}
    assert (balance(world.wallets[0]), balance(world.wallets[1])) == (0, 1)
    assert faults() == []


@pytest.mark.usefixtures("committed_db")
def test_an_account_that_somebody_is_about_to_open_is_still_closed_and_nobody_waits() -> None:
    world = a_world("0")
    Account.objects.filter(id=world.wallets[0]).update(closed=True)
    with actors(2) as (opener, settler):
        opener.begin(
            in_a_transaction(lambda: Account.objects.filter(id=world.wallets[0]).update(closed=False)),
            stop_after="UPDATE",
        )
        result, items = settler.does(lambda: credit(world, [(0, "5.00")]))
        opener.go_on()
        opener.answer()
    assert result.refused == {items[0]: "ACCOUNT_CLOSED"}
    assert credit(world, [(0, "5.00")])[0].posted == 1
    assert faults() == []


@pytest.mark.usefixtures("db")
def test_an_account_opened_again_before_it_is_asked_about_takes_the_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    world = a_world("0", "0")
    Account.objects.filter(id=world.wallets[0]).update(closed=True)
    monkeypatch.setattr(credit_sets, "CLOSED_SQL", "SELECT id FROM wallet_account WHERE id = ANY(%s) AND NOT closed")
    before = everything()
    with pytest.raises(LedgerFault, match="try again"):
        credit(world, [(0, "5.00"), (1, "1.00")])
    assert everything() == before


@pytest.mark.usefixtures("db")
def test_times_never_fall_on_one_account_though_the_set_took_its_own_before_the_locks() -> None:
    world = a_world("100.00", "0")
    last = Account.objects.get(id=world.wallets[0]).last_recorded_at
    assert last is not None
    with clock.stopped_at(last - timedelta(seconds=1)):
        result, items = credit(world, [(0, "5.00"), (1, "1.00")])
    times = {item: JournalEntry.objects.get(subject=item).recorded_at for item in items}
    assert times == {items[0]: last, items[1]: result.recorded_at}
    assert {p.recorded_at for p in Posting.objects.filter(subject=items[0])} == {last}
    assert faults() == []


@pytest.mark.usefixtures("committed_db")
def test_the_transactions_id_is_drawn_before_its_time_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits until all transactions below an id have ended knows all that was recorded before that."""
    world = a_world("0")

    def drawn() -> object:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_current_xact_id_if_assigned()")
            assert cursor.fetchone() != (None,)
        return real()

    real = clock.now
    monkeypatch.setattr(clock, "now", drawn)
    assert credit(world, [(0, "1.00")])[0].posted == 1


@pytest.mark.usefixtures("committed_db")
def test_who_waits_for_an_account_holds_none_behind_it() -> None:
    world = a_world(*["0"] * 4)
    low, *others = sorted(world.wallets[:4])
    # The rows lie in another order than their ids, and are named in another: neither is the order of the locks.
    for account in reversed([low, *others]):
        Account.objects.filter(id=account).update(credit_limit=1)
    named = [(world.wallets.index(account), "1.00") for account in [*reversed(others), low]]
    with actors(2) as (first, second):
        first.begin(in_a_transaction(lambda: ledger.lock_accounts([low])), stop_after="FROM wallet_account")
        second.begin(lambda: credit(world, named))
        second.waits_for(first)
        assert [_free(account) for account in others] == [True] * 3
        first.go_on()
        first.answer()
        second.answer()
    assert [balance(account) for account in [low, *others]] == [1] * 4


@pytest.mark.parametrize("amount", ["-1.00", "0.001"])
@pytest.mark.usefixtures("db")
def test_what_is_no_credit_or_finer_than_the_minor_unit_writes_nothing(amount: str) -> None:
    world = a_world("10.00", "0")
    before = everything()
    with pytest.raises(LedgerFault, match=r"may not move|decimals"):
        credit(world, [(1, "1.00"), (0, amount)])
    assert everything() == before


@pytest.mark.parametrize("against", ["nowhere", "an owner's"])
@pytest.mark.usefixtures("db")
def test_what_is_taken_from_no_folded_account_writes_nothing(against: str) -> None:
    world = a_world("10.00", "0")
    other = World(world.bank, uuid7() if against == "nowhere" else world.wallets[0], world.wallets)
    before = everything()
    with pytest.raises(LedgerFault, match="no folded one"):
        credit(other, [(1, "1.00")])
    assert everything() == before


@pytest.mark.usefixtures("db")
def test_an_unknown_account_or_a_folded_one_writes_nothing() -> None:
    world = a_world("0")
    before = everything()
    for account in (uuid7(), world.in_transit):
        with pytest.raises(LedgerFault, match="no account of an owner"):
            credit(World(world.bank, world.in_transit, [world.wallets[0], account]), [(0, "1.00"), (1, "1.00")])
    assert everything() == before


@pytest.mark.usefixtures("committed_db")
def test_a_kind_that_takes_from_owners_or_counts_usage_goes_through_the_other_door() -> None:
    world = a_world("10.00")
    before = everything()
    for kind in (TRANSFER_SENT, TRANSFER_RETURNED):
        with pytest.raises(LedgerFault, match="post_set"):
            credit(world, [(0, "1.00")], kind=kind)
    with pytest.raises(transaction.TransactionManagementError):
        post_credits(kind=TRANSFER_SETTLED, credits="SELECT 1", params={})
    assert everything() == before


@pytest.mark.usefixtures("db")
def test_the_callers_rows_change_in_the_same_statement_one_for_each_item() -> None:
    world = a_world("0")
    before = everything()
    with pytest.raises(LedgerFault, match="rows of theirs changed"):
        credit(
            world,
            [(0, "1.00"), (0, "2.00")],
            then=["UPDATE wallet_account SET closed = false FROM posted WHERE id = posted.item RETURNING 1"],
        )
    assert everything() == before


def _free(account: UUID) -> bool:
    """Whether nobody holds the account's row."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM wallet_account WHERE id = %s FOR NO KEY UPDATE NOWAIT", [account])
    except DatabaseError:
        return False
    return True
