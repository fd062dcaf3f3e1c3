"""Verification as it runs by itself: what it keeps, where it goes on, what an incremental run sees and says it does not."""

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import DatabaseError, transaction

from superapp import clock
from superapp.ids import uuid7
from tests.many import at_once
from tests.waiting import PATIENCE_SECONDS, wait_until
from tests.wallet.ledger_world import World, a_ledger, everything
from tests.wallet.sealed_world import a_sealed_ledger, seal_all, triggers_off
from wallet import ledger, tasks, verification_runs
from wallet.assurance import AccountFreeze, VerificationRun
from wallet.models import Account, JournalEntry
from wallet.verification_runs import Extent, Verified

OwnersHand = Callable[..., None]


def look(*, freeze: bool = False) -> Verified:
    return verification_runs.run(extent=Extent.INCREMENTAL, freeze=freeze)


def _rows(verified: Verified) -> set[str]:
    return {finding.row for finding in verified.findings}


def _looked_at(world: World) -> None:
    """A clean mark behind everything posted so far: other transactions of the server may hold the horizon back."""
    newest = JournalEntry.objects.latest("tx").tx
    seal_all()
    wait_until(lambda: look().window.to_tx > newest, what="a mark behind the newest entry")
    assert world.wallets


def test_a_clean_run_moves_the_mark_and_the_next_begins_there(committed_db: None) -> None:
    world = a_sealed_ledger()

    _looked_at(world)
    *_, last = VerificationRun.objects.order_by("id")
    again = look()

    assert (again.window.from_tx, again.window.from_seal) == (last.to_tx, last.to_seal)
    assert again.findings == []
    assert f"transactions before {last.to_tx}" in again.not_looked_at[0]


NEW_FAULTS = [
    ("UPDATE wallet_posting SET amount = -21 WHERE account_id = %s AND sequence = 3", {"posting {}#3", "entry"}),
    ("UPDATE wallet_posting SET balance_after = 1 WHERE account_id = %s AND sequence = 3", {"posting {}#3"}),
    ("UPDATE wallet_posting SET sequence = 4 WHERE account_id = %s AND sequence = 3", {"posting {}#4", "account {}"}),
    ("UPDATE wallet_posting SET recorded_at = recorded_at - interval '1 day', effective_at = effective_at - interval '1 day' "
     "WHERE account_id = %s AND sequence = 3", {"posting {}#3"}),
    ("UPDATE wallet_posting SET asset_id = 999 WHERE account_id = %s AND sequence = 3", {"posting {}#3"}),
    ("UPDATE wallet_posting SET subject = uuidv7() WHERE account_id = %s AND sequence = 3", {"posting {}#3"}),
    ("DELETE FROM wallet_posting WHERE account_id = %s AND sequence = 3", {"entry"}),
    ("DELETE FROM wallet_journalentry e USING wallet_posting p WHERE p.entry_id = e.id AND p.account_id = %s "
     "AND p.sequence = 3", {"posting {}#3"}),
    ("UPDATE wallet_journalentry e SET kind = 'top_up' FROM wallet_posting p WHERE p.entry_id = e.id AND p.account_id = %s "
     "AND p.sequence = 3", {"entry"}),
    ("UPDATE wallet_journalentry e SET kind = 'reversal' FROM wallet_posting p WHERE p.entry_id = e.id AND p.account_id = %s "
     "AND p.sequence = 3", {"entry"}),
    ("UPDATE wallet_account SET balance = balance + 1 WHERE id = %s", {"account {}"}),
    ("UPDATE wallet_account SET held = 1 WHERE id = %s", {"account {}"}),
    ("UPDATE wallet_account SET last_recorded_at = NULL WHERE id = %s", {"account {}"}),
]  # fmt: skip


def test_an_incremental_run_names_a_reversal_that_nobody_else_has_approved(
    committed_db: None, run_as_owner: OwnersHand
) -> None:
    world = a_sealed_ledger()
    _looked_at(world)
    topped_up = world.top_up(1, "5.00").entry_id
    with triggers_off(run_as_owner), transaction.atomic():
        back = ledger.reverse(topped_up, subject=uuid7()).entry_id

    wait_until(lambda: look().window.to_tx > JournalEntry.objects.get(pk=back).tx, what="a look behind the reversal")

    assert _rows(look()) == {f"entry {back}"}


def test_an_incremental_run_names_what_is_wrong_with_the_new(committed_db: None, run_as_owner: OwnersHand) -> None:
    world = a_sealed_ledger()
    _looked_at(world)
    world.send(0, "20.00")
    entry = JournalEntry.objects.latest("id").pk
    wallet = world.wallets[0]
    before = everything()

    for number, (statement, named) in enumerate(NEW_FAULTS):
        copies = ("wallet_posting", "wallet_journalentry", "wallet_account")
        for table in copies:
            run_as_owner(f"CREATE TABLE kept_{number}_{table} AS TABLE {table}")
        with triggers_off(run_as_owner):
            run_as_owner(statement, [wallet])
            found = _settled(entry)
            for table in copies:
                run_as_owner(
                    f"DELETE FROM {table} t WHERE NOT EXISTS (SELECT FROM kept_{number}_{table} k WHERE k = t)"
                )
                run_as_owner(f"INSERT INTO {table} SELECT k.* FROM kept_{number}_{table} k ON CONFLICT DO NOTHING")
        expected = {f"entry {entry}" if name == "entry" else name.format(wallet) for name in named}
        assert expected <= found, statement

    assert everything() == before


def _settled(entry: object) -> set[str]:
    """What a run finds whose horizon lies behind every entry."""
    newest = max(JournalEntry.objects.values_list("tx", flat=True))
    return _rows(
        wait_until(lambda: verified if (verified := look()).window.to_tx > newest else None, what="the horizon")
    )


def test_a_fault_keeps_the_mark_where_it_was_so_that_it_is_told_again(
    committed_db: None, run_as_owner: OwnersHand
) -> None:
    world = a_sealed_ledger()
    _looked_at(world)
    world.send(0, "20.00")
    run_as_owner("UPDATE wallet_account SET held = 1 WHERE id = %s", [world.wallets[0]])

    first, second = _settled(None), _settled(None)

    assert first == second == {f"account {world.wallets[0]}"}


def test_what_was_changed_behind_the_mark_is_left_to_the_full_run_and_said(
    committed_db: None, run_as_owner: OwnersHand
) -> None:
    world = a_sealed_ledger()
    _looked_at(world)
    with triggers_off(run_as_owner):
        run_as_owner("UPDATE wallet_posting SET subject = uuidv7() WHERE account_id = %s", [world.wallets[1]])
    out = StringIO()

    call_command("verify_ledger", "--incremental", "--json", stdout=out)
    full = verification_runs.run(extent=Extent.FULL, freeze=False)

    answer = json.loads(out.getvalue())
    assert (answer["ok"], answer["extent"]) == (True, "incremental")
    assert any("a full verification looks at them" in line for line in answer["not_looked_at"])
    assert f"posting {world.wallets[1]}#1" in _rows(full)
    assert full.not_looked_at == []


def test_a_new_posting_may_follow_one_of_a_later_transaction(committed_db: None) -> None:
    world = a_ledger(balances=["100.00", "100.00"])
    _looked_at(world)
    began, go_on, held, let_go = (threading.Event() for _ in range(4))

    def early() -> None:
        with transaction.atomic():
            ledger.lock_accounts([world.wallets[1]])
            world.send(1, "1.00")  # has its number now; posts on the first wallet after a later transaction has
            began.set()
            assert go_on.wait(PATIENCE_SECONDS)
            world.send(0, "1.00")

    def holds_the_horizon() -> None:
        assert began.wait(PATIENCE_SECONDS)
        with transaction.atomic():
            Account.objects.filter(pk=world.bank).update(closed=False)  # has the next number, and is open while we look
            held.set()
            assert let_go.wait(PATIENCE_SECONDS)

    def looks() -> set[str]:
        assert held.wait(PATIENCE_SECONDS)
        world.send(0, "2.00")  # the latest number, committed first
        go_on.set()
        try:
            wait_until(lambda: Account.objects.get(pk=world.wallets[0]).last_sequence == 3, what="the early posting")
            return _rows(look())
        finally:
            let_go.set()

    *_, found = at_once([early, holds_the_horizon, looks])

    assert found == set()
    assert _settled(None) == set()


def test_posting_during_verifications_gives_no_false_alarm(committed_db: None) -> None:
    world = a_ledger(balances=["100.00"] * 4)

    def pay(number: int) -> int:
        for _ in range(15):
            world.send(number, "0.10")
            world.top_up((number + 1) % 4, "0.10")
        return 0

    def looking() -> int:
        return sum(len(look(freeze=True).findings) + (seal_all() * 0) for _ in range(6))

    answers = at_once([*(lambda n=n: pay(n) for n in range(4)), looking, looking])

    assert answers == [0] * 6
    assert not AccountFreeze.objects.exists()


def test_what_is_found_freezes_the_account_and_is_kept_for_operators(
    committed_db: None, run_as_owner: OwnersHand
) -> None:
    world = a_sealed_ledger()
    assert verification_runs.last_result() is None
    run_as_owner("UPDATE wallet_account SET balance = balance + 1 WHERE id = %s", [world.wallets[0]])

    wait_until(lambda: look(freeze=True).frozen, what="the frozen account")

    last = verification_runs.last_result()
    assert last is not None
    assert (last.extent, last.breaks, last.open_freezes, last.last_clean_at) == ("incremental", 1, 1, None)
    assert VerificationRun.objects.latest("id").findings[0]["row"] == f"account {world.wallets[0]}"
    case = AccountFreeze.objects.get()
    assert (case.account_id, case.found_by[:3]) == (world.wallets[0], "I3 ")


def test_the_jobs_run_when_they_are_due_and_once(committed_db: None) -> None:
    a_ledger(balances=["0"])
    noon = clock.now().astimezone(clock.business_zone()).replace(hour=12)
    for moment in (noon, noon, noon + timedelta(minutes=4), noon + timedelta(minutes=6)):
        clock.forget()
        with clock.stopped_at(moment):
            tasks.verify_all()
            tasks.verify_new()
            tasks.seal()
    clock.forget()

    assert list(VerificationRun.objects.order_by("id").values_list("extent", flat=True)) == ["full", "incremental"]


def test_only_so_many_results_are_kept_and_the_mark_among_them(committed_db: None, run_as_owner: OwnersHand) -> None:
    world = a_sealed_ledger()
    _looked_at(world)
    world.top_up(0, "1.00")
    run_as_owner("UPDATE wallet_account SET held = 1 WHERE id = %s", [world.wallets[0]])
    _settled(None)
    mark = VerificationRun.objects.filter(breaks=0).latest("id")
    _as_many_more(verification_runs.RUNS_KEPT)

    look()

    kept = set(VerificationRun.objects.values_list("id", flat=True))
    assert mark.pk in kept
    assert len(kept) == verification_runs.RUNS_KEPT + 1
    assert Account.objects.get(pk=world.wallets[0]).held == Decimal(1)
    late = VerificationRun.objects.latest("id")
    for gone in (mark, late):
        with pytest.raises(DatabaseError, match="it is kept"):
            gone.delete()
    with pytest.raises(DatabaseError, match="permission denied"):
        VerificationRun.objects.filter(pk=late.pk).update(breaks=0)


def _as_many_more(runs: int) -> None:
    """Runs that found something, as a fault of a week leaves them."""
    VerificationRun.objects.bulk_create(
        VerificationRun(
            extent=Extent.INCREMENTAL,
            started_at=clock.now(),
            seconds=0,
            from_tx=0,
            to_tx=0,
            to_seal=0,
            checks=1,
            breaks=1,
            findings=[],
        )
        for _ in range(runs)
    )
