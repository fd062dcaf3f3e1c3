"""Settlement in sets: everyone exactly once, what cannot be credited goes back, a transaction that dies did nothing."""

import threading
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from django.db import DatabaseError, connection, transaction

from payments import settlement
from payments.models import Transfer
from superapp import clock
from superapp.ids import uuid7
from superapp.models import User
from tests.factories import a_payer, a_person, a_transfer
from tests.many import at_once
from tests.owners_hand import the_owners_hand
from tests.picture import assert_ledger_is_sound, nothing_changes
from tests.waiting import PATIENCE_SECONDS
from wallet.errors import LedgerFault
from wallet.models import Account, JournalEntry, Posting


def balances(*people: User) -> list[Decimal]:
    return [Account.objects.get(owner=person).balance for person in people]


def states() -> list[str]:
    return list(Transfer.objects.order_by("id").values_list("state", flat=True))


def close_wallet_of(person: User) -> None:
    Account.objects.filter(owner=person).update(closed=True)


def reopen_wallet_of(person: User) -> None:
    Account.objects.filter(owner=person).update(closed=False)


def a_round(people: Sequence[User]) -> list[UUID]:
    """Everyone sends to the next and to the first, so that some receive more than once in a set."""
    sent = []
    for number, person in enumerate(people):
        sent.append(a_transfer(person, people[(number + 1) % len(people)], f"{number + 1}.00"))
        if number:
            sent.append(a_transfer(person, people[0], "0.01"))
    return sent


def canonical() -> list[tuple[object, ...]]:
    """Every posting of owned accounts without what differs from run to run: ids and times."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT u.display_name, p.sequence, e.kind, p.amount, p.balance_after, t.note
            FROM wallet_posting p JOIN wallet_account a ON a.id = p.account_id JOIN superapp_user u ON u.id = a.owner_id
            JOIN wallet_journalentry e ON e.id = p.entry_id LEFT JOIN payments_transfer t ON t.id = p.subject
            ORDER BY 1, 2
            """
        )
        rows: list[tuple[object, ...]] = cursor.fetchall()
    return rows


def test_what_is_due_reaches_its_recipients_once(db: None) -> None:
    ann, ben = a_payer("100.00"), a_payer("100.00")
    first, second = a_transfer(ann, ben, "10.00"), a_transfer(ben, ann, "1.00")
    assert settlement.settle_due() == settlement.Settled(ended=2, refused=0)
    assert balances(ann, ben) == [Decimal("91.00"), Decimal("109.00")]
    for row in Transfer.objects.filter(id__in=[first, second]):
        entry = JournalEntry.objects.get(kind="transfer_settled", subject=row.id)
        assert (row.state, row.settled_entry_id) == ("settled", entry.id)
        assert row.ended_at == entry.recorded_at
        assert Posting.objects.filter(entry=entry, account=row.recipient_account_id).get().amount == row.amount
    assert_ledger_is_sound()
    with nothing_changes():
        assert settlement.settle_everything_due() == 0


def test_the_note_of_a_settled_transfer_can_be_erased_and_what_it_was_stays(db: None) -> None:
    ann, ben, cat = a_payer("100.00"), a_payer("0"), a_person()
    settled = Transfer.objects.filter(id=a_transfer(ann, ben, note="for the clinic"))
    settlement.settle_due()
    [before] = settled.values()

    with nothing_changes():
        for other in (
            {"thread": uuid7()}, {"sender": cat}, {"recipient": cat}, {"amount": 1}, {"currency": "USD"},
            {"sender_account": uuid7()}, {"recipient_account": uuid7()}, {"authorised_at": clock.now()},
            {"sent_entry_id": uuid7()},
        ):  # fmt: skip
            with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
                settled.update(note="", **other)
        with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
            settled._raw_delete(settled.db)
    settled.update(note="")

    assert settled.values().get() == {**before, "note": ""}
    assert_ledger_is_sound()


def test_a_transfer_is_not_settled_before_it_is_due(db: None) -> None:
    ann, ben = a_payer("100.00"), a_payer("0")
    transfer = a_transfer(ann, ben)
    due = clock.now() + timedelta(hours=2)
    Transfer.objects.filter(id=transfer).update(due_at=due)
    with clock.stopped_at(due - timedelta(microseconds=1)), nothing_changes():
        assert settlement.settle_due().ended == 0
    with clock.stopped_at(due):
        assert settlement.settle_due().ended == 1


def test_the_oldest_due_go_first_when_a_batch_is_full(db: None) -> None:
    ann, ben = a_payer("100.00"), a_payer("0")
    sent = [a_transfer(ann, ben, f"{number}.00") for number in range(1, 6)]
    assert settlement.settle_due(limit=2).ended == 2
    settled = set(Transfer.objects.filter(state="settled").values_list("id", flat=True))
    assert settled == set(sent[:2])
    assert settlement.settle_everything_due() == 3
    assert balances(ben) == [Decimal("15.00")]


def test_what_a_closed_wallet_cannot_take_goes_back_to_its_sender_whole(db: None) -> None:
    ann, ben, cat = a_payer("100.00"), a_payer("0"), a_payer("0")
    lost, fine = a_transfer(ann, ben, "30.00"), a_transfer(ann, cat, "5.00")
    close_wallet_of(ben)
    assert settlement.settle_due() == settlement.Settled(ended=1, refused=1)
    row = Transfer.objects.get(id=lost)
    assert (row.state, row.return_reason, row.settled_entry_id) == ("returning", "ACCOUNT_CLOSED", None)
    assert_ledger_is_sound()
    assert settlement.return_refused() == settlement.Settled(ended=1, refused=0)
    row.refresh_from_db()
    assert (row.state, row.settled_entry_id) == ("returned", None)
    assert JournalEntry.objects.get(kind="transfer_returned").id == row.returned_entry_id
    assert Transfer.objects.get(id=fine).state == "settled"
    assert balances(ann, ben, cat) == [Decimal("95.00"), 0, Decimal("5.00")]
    assert_ledger_is_sound()
    with nothing_changes():
        settlement.settle_everything_due()


def test_a_return_that_is_refused_too_waits_and_is_tried_again_later(db: None) -> None:
    ann, ben = a_payer("100.00"), a_payer("0")
    a_transfer(ann, ben, "30.00")
    close_wallet_of(ann)
    close_wallet_of(ben)
    settlement.settle_everything_due()
    assert states() == ["returning"]
    with nothing_changes():
        settlement.settle_everything_due()
    assert_ledger_is_sound()
    reopen_wallet_of(ann)
    with clock.stopped_at(clock.now() + settlement.RETRY_RETURN_AFTER):
        assert settlement.settle_everything_due() == 1
    assert balances(ann) == [Decimal("100.00")]
    assert_ledger_is_sound()


def test_a_due_transfer_that_no_account_in_transit_covers_stops_its_set_and_is_not_counted_as_settled(db: None) -> None:
    sender, recipient = a_payer("100.00"), a_payer("0")
    a_transfer(sender, recipient)
    a_transfer(sender, recipient)
    with the_owners_hand():
        Transfer.objects.filter(id=Transfer.objects.earliest("id").id).update(currency="USD")
    with nothing_changes(), pytest.raises(LedgerFault, match="taken from is no folded one"):
        settlement.settle_everything_due()


@pytest.mark.parametrize("batch", [3, 100])
def test_a_set_is_its_transfers_one_by_one(db: None, batch: int) -> None:
    def outcome(world: str, limit: int) -> list[tuple[object, ...]]:
        people = [a_payer("100.00", display_name=f"{world} {number}") for number in range(5)]
        a_round(people)
        close_wallet_of(people[3])
        for work in (settlement.settle_due, settlement.return_refused):
            while work(limit=limit).worked:
                pass
        return [(str(name).removeprefix(world), *rest) for name, *rest in canonical() if str(name).startswith(world)]

    one_by_one = outcome("One", 1)
    assert len(one_by_one) > 20
    assert outcome("Set", batch) == one_by_one
    assert_ledger_is_sound()


def test_a_settlement_that_dies_before_its_commit_did_nothing_and_the_next_does_all(
    committed_db: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [a_payer("100.00") for _ in range(4)]
    a_round(people)
    close_wallet_of(people[2])
    monkeypatch.setattr(settlement, "_REFUSED", "SELECT 1 / 0")
    with nothing_changes(), pytest.raises(DatabaseError):
        settlement.settle_due()
    monkeypatch.undo()
    assert settlement.settle_everything_due() == 7
    assert_ledger_is_sound()


def test_a_session_killed_in_the_middle_of_a_settlement_did_nothing(
    committed_db: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [a_payer("100.00") for _ in range(4)]
    a_round(people)
    close_wallet_of(people[2])
    monkeypatch.setattr(settlement, "_REFUSED", "SELECT pg_terminate_backend(pg_backend_pid())")
    with nothing_changes():
        with pytest.raises(DatabaseError):
            settlement.settle_due()
        connection.close()
    monkeypatch.undo()
    assert settlement.settle_everything_due() == 7
    assert_ledger_is_sound()


def test_many_workers_at_once_settle_everything_exactly_once(committed_db: object) -> None:
    people = [a_payer("100.00") for _ in range(6)]
    for _ in range(4):
        a_round(people)
    answers = at_once([lambda: settlement.settle_due(limit=5)] * 12, threads=4)
    done = [answer.ended for answer in answers if isinstance(answer, settlement.Settled)]
    assert sum(done) + settlement.settle_everything_due() == 44
    assert set(states()) == {"settled"}
    assert sum(balances(*people)) == Decimal("600.00")
    assert_ledger_is_sound()


def test_a_row_that_another_worker_has_claimed_is_passed_over(committed_db: object) -> None:
    ann, ben = a_payer("100.00"), a_person()
    a_transfer(ann, ben)
    claimed, finish = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            assert len(Transfer.objects.select_for_update()) == 1
            claimed.set()
            finish.wait(PATIENCE_SECONDS)

    def meanwhile() -> settlement.Settled:
        claimed.wait(PATIENCE_SECONDS)
        try:
            return settlement.settle_due()
        finally:
            finish.set()

    _, other = at_once([hold, meanwhile])
    assert other == settlement.Settled(ended=0, refused=0)
    assert settlement.settle_due().ended == 1
