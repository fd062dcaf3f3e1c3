"""P01, W22, W24: sending money, what it refuses, and the one effect of one key."""

from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from payments import transfers
from payments.errors import CannotPayYourself, NoteTooLong, PayeeNotFound
from payments.models import Thread, Transfer
from payments.payees import Payee
from superapp import clock
from superapp.errors import IdempotencyKeyReused, InvalidAmount, InvalidIdempotencyKey, RateLimited
from superapp.ids import uuid7
from superapp.models import IdempotencyKey, User
from superapp.policies import change
from tests.factories import PIN, a_payer, a_person, a_transfer
from tests.picture import assert_ledger_is_sound, nothing_changes, picture
from wallet import wallets
from wallet.errors import (
    AccountClosed,
    InsufficientFunds,
    LimitExceeded,
    PinLocked,
    PinNotSet,
    PinRequired,
    PinWrong,
    WalletNotOpen,
)
from wallet.models import Account, JournalEntry, PaymentPin, Posting


def send(sender: User, to: Payee | User, amount: str = "10.00", **other: Any) -> transfers.Sent:
    asked: dict[str, Any] = {"currency": "CNY", "note": "", "pin": PIN, "key": str(uuid4())} | other
    payee = Payee(id=to.pk) if isinstance(to, User) else to
    return transfers.send_money(sender_id=sender.pk, to=payee, amount=Decimal(amount), **asked)


def balance_of(person: User) -> Decimal:
    return Account.objects.get(owner=person).balance


def test_sending_takes_the_money_into_transit_at_once_and_keeps_the_note_beside_the_ledger(db: None) -> None:
    ann, ben = a_payer("100.00"), a_person()
    sent = send(ann, ben, "12.34", note="  for lunch ")
    row = Transfer.objects.get()
    entry = JournalEntry.objects.get(kind="transfer_sent")
    assert row.id == sent.transfer_id
    assert (row.state, row.amount, row.currency, row.note) == ("authorised", Decimal("12.34"), "CNY", "for lunch")
    assert (row.sender_id, row.recipient_id) == (ann.pk, ben.pk)
    assert (row.sent_entry_id, row.settled_entry_id, row.due_at) == (entry.id, None, entry.recorded_at)
    assert entry.subject == row.id
    assert sorted(Posting.objects.filter(entry=entry).values_list("amount", flat=True)) == [
        Decimal("-12.34"),
        Decimal("12.34"),
    ]
    assert [balance_of(ann), balance_of(ben)] == [Decimal("87.66"), Decimal(0)]
    assert "for lunch" not in str(picture("wallet_account", "wallet_journalentry", "wallet_posting"))
    assert_ledger_is_sound()


def test_what_is_answered_without_reading_it_is_the_row_as_it_is_stored(db: None) -> None:
    """The answer is put together by the order of the model's fields: a field more, or two in another order, must show here."""
    sent = send(a_payer("100.00"), a_person(), "12.34", note="for lunch")
    assert sent.transfer is not None
    answered = {field.attname: getattr(sent.transfer, field.attname) for field in Transfer._meta.concrete_fields}
    assert answered == Transfer.objects.values().get()


@pytest.mark.parametrize("way", ["id", "phone", "handle"])
def test_a_friend_is_paid_by_phone_name_or_id(db: None, way: str) -> None:
    ann = a_payer("100.00")
    ben = a_person(handle="ben.pays")
    to = {"id": Payee(id=ben.pk), "phone": Payee(phone=ben.phone), "handle": Payee(handle=" Ben.Pays ")}[way]
    send(ann, to)
    assert Transfer.objects.get().recipient_id == ben.pk


def test_both_find_it_in_the_one_thread_they_share(db: None) -> None:
    ann, ben, eve = a_payer("100.00"), a_payer("100.00"), a_payer("100.00")
    there, back = a_transfer(ann, ben), a_transfer(ben, ann)
    from payments import threads

    (of_ann,), (of_ben,) = threads.threads_of(ann.pk), threads.threads_of(ben.pk)
    assert of_ann == of_ben
    assert [row.id for row in threads.transfers_in([of_ann.id], limit=10)[of_ann.id]] == [back, there]
    assert not threads.threads_of(eve.pk).exists()
    assert not threads.transfers_seen_by(eve.pk, [there, back]).exists()
    assert threads.known_among(ann.pk, [ann.pk, ben.pk, eve.pk]) == {ann.pk, ben.pk}


def test_whoever_cannot_be_paid_is_answered_alike_and_nothing_changes(db: None) -> None:
    ann = a_payer("100.00")
    hidden, gone = a_person(), a_person(handle="gone")
    User.objects.filter(pk=hidden.pk).update(findable_by_phone=False)
    User.objects.filter(pk=gone.pk).update(is_active=False)
    names = [
        Payee(phone=hidden.phone),
        Payee(phone=gone.phone),
        Payee(id=gone.pk),
        Payee(handle="gone"),
        Payee(phone="+8613899999999"),
        Payee(phone="not a phone"),
        Payee(handle="nobody"),
        Payee(id=uuid7()),
        Payee(),
        Payee(id=ann.pk, handle="gone"),
    ]
    with nothing_changes():
        for name in names:
            with pytest.raises(PayeeNotFound) as refused:
                send(ann, name)
            assert refused.value == PayeeNotFound()
    assert send(ann, hidden).amount == Decimal("10.00")


@pytest.mark.parametrize("amount", ["0", "-1", "0.001", "NaN", "Infinity", "1e16"])
def test_an_amount_that_is_none_is_refused_and_not_stored(db: None, amount: str) -> None:
    ann, ben = a_payer("100.00"), a_person()
    with nothing_changes(), pytest.raises(InvalidAmount):
        send(ann, ben, amount, key="k")
    assert not IdempotencyKey.objects.filter(key="k").exists()
    send(ann, ben, key="k")


def test_the_decimals_are_those_of_the_currency(db: None) -> None:
    ann, ben = a_payer("100", currency="JPY"), a_person()
    send(ann, ben, "12", currency="JPY")
    with pytest.raises(InvalidAmount):
        send(ann, ben, "0.5", currency="JPY")


def test_nothing_can_be_sent_from_a_currency_without_a_wallet(db: None) -> None:
    ann, ben = a_payer("100.00"), a_payer("100.00", currency="USD")
    with nothing_changes(), pytest.raises(WalletNotOpen):
        send(ann, ben, currency="USD")


def test_nobody_pays_themselves(db: None) -> None:
    ann = a_payer("100.00")
    with nothing_changes():
        for name in (Payee(id=ann.pk), Payee(phone=ann.phone)):
            with pytest.raises(CannotPayYourself):
                send(ann, name)


def test_more_than_is_available_is_refused_with_what_is(db: None) -> None:
    ann, ben = a_payer("100.00"), a_person()
    with nothing_changes(), pytest.raises(InsufficientFunds) as refused:
        send(ann, ben, "100.01")
    assert (refused.value.available, refused.value.asset) == (Decimal("100.00"), "CNY")
    assert not Account.objects.filter(owner=ben).exists()
    assert not Thread.objects.exists()


def test_a_closed_wallet_sends_nothing(db: None) -> None:
    ann, ben = a_payer("100.00"), a_person()
    Account.objects.filter(owner=ann).update(closed=True)
    with nothing_changes(), pytest.raises(AccountClosed):
        send(ann, ben)


def test_the_limit_of_the_policy_of_the_day_holds(db: None) -> None:
    ann, ben = a_payer("100.00"), a_person()
    now = clock.now()
    change(policy="payments.transfer.maximum", value={"CNY": "20.00"}, effective_from=now + timedelta(days=1))
    send(ann, ben, "20.01")
    with clock.stopped_at(now + timedelta(days=1)):
        clock.forget()
        with pytest.raises(LimitExceeded) as refused:
            send(ann, ben, "20.01")
        assert refused.value.limit == Decimal("20.00")
        assert refused.value.rule == "payments.transfer.maximum"
        send(ann, ben, "20.00")


@pytest.mark.parametrize("note", ["x" * 201, "nul\x00"])
def test_a_note_that_is_too_long_is_refused(db: None, note: str) -> None:
    ann, ben = a_payer("100.00"), a_person()
    with nothing_changes(), pytest.raises(NoteTooLong):
        send(ann, ben, note=note)
    send(ann, ben, note="字" * 200)


def test_without_the_right_pin_nothing_is_sent_and_the_key_stays_free(db: None) -> None:
    ann, ben, cat = a_payer("100.00"), a_person(), a_payer("100.00", pin=None)
    with nothing_changes():
        with pytest.raises(PinNotSet):
            send(cat, ben, pin=None)
        with pytest.raises(PinRequired):
            send(ann, ben, pin=None, key="k")
        with pytest.raises(PinWrong):
            send(ann, ben, pin="864297", key="k")
    assert not IdempotencyKey.objects.filter(key="k").exists()
    send(ann, ben, key="k")


def test_a_locked_pin_sends_nothing(db: None) -> None:
    ann, ben = a_payer("100.00"), a_person()
    for _ in range(5):
        with pytest.raises(PinWrong):
            send(ann, ben, pin="864297")
    with nothing_changes(), pytest.raises(PinLocked):
        send(ann, ben)


def test_the_same_key_and_request_give_the_same_answer_without_a_pin(db: None) -> None:
    ann, ben = a_payer("100.00"), a_person()
    first = send(ann, ben, key="k")
    with nothing_changes():
        again = send(ann, ben, "10.0", key="k", pin=None)
    assert again.replayed
    assert (again.transfer_id, again.fee, again.source_account_id, again.arrival) == (
        first.transfer_id,
        first.fee,
        first.source_account_id,
        first.arrival,
    )


@pytest.mark.parametrize("other", ["amount", "note", "to", "currency"])
def test_the_same_key_for_another_request_is_refused(db: None, other: str) -> None:
    ann, ben, cat = a_payer("100.00"), a_person(), a_person()
    send(ann, ben, key="k")
    changes: dict[str, dict[str, Any]] = {
        "amount": {"amount": "10.01"},
        "note": {"note": "hello"},
        "to": {"to": cat},
        "currency": {"currency": "USD"},
    }
    asked: dict[str, Any] = {"to": ben, "key": "k"} | changes[other]
    with nothing_changes(), pytest.raises(IdempotencyKeyReused):
        send(ann, **asked)


def test_a_refusal_stays_one_for_its_key_even_when_there_is_money_later(db: None) -> None:
    from tests.factories import a_top_up

    ann, ben = a_payer("5.00"), a_person()
    with pytest.raises(InsufficientFunds) as first:
        send(ann, ben, key="k")
    a_top_up(ann, "100.00")
    with nothing_changes(), pytest.raises(InsufficientFunds) as again:
        send(ann, ben, key="k")
    assert again.value == first.value
    send(ann, ben, key="another")


@pytest.mark.parametrize("key", ["", "x" * 201, "line\n", "é"])
def test_a_key_that_is_none_is_refused(db: None, key: str) -> None:
    ann, ben = a_payer("100.00"), a_person()
    with nothing_changes(), pytest.raises(InvalidIdempotencyKey):
        send(ann, ben, key=key)


def test_a_dry_run_gives_the_figures_of_the_real_thing_and_does_nothing(db: None) -> None:
    ann, ben = a_payer("100.00"), a_person()
    with nothing_changes():
        dry = send(ann, ben, key="k", dry_run=True)
    wet = send(ann, ben, key="k")
    assert not wet.replayed
    assert (dry.fee, dry.source_account_id, dry.arrival, dry.amount) == (
        wet.fee,
        wet.source_account_id,
        wet.arrival,
        wet.amount,
    )
    assert dry.fee == Decimal("0.00")
    assert not Transfer.objects.filter(id=dry.transfer_id).exists()


def test_a_dry_run_refuses_what_the_real_thing_refuses_and_counts_as_a_pin_try(db: None) -> None:
    ann, ben = a_payer("100.00"), a_person()
    with nothing_changes():
        with pytest.raises(InsufficientFunds):
            send(ann, ben, "100.01", dry_run=True, key="k")
        with pytest.raises(PinWrong):
            send(ann, ben, dry_run=True, pin="864297")
    assert PaymentPin.objects.get(user=ann).tries == 1
    assert not IdempotencyKey.objects.filter(key="k").exists()


def test_the_fingerprint_of_a_request_knows_nothing_of_the_pin(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from superapp import idempotency

    seen: list[object] = []
    fingerprint = idempotency.fingerprint

    def watched(operation: str, request: Any) -> bytes:
        seen.append(dict(request))
        return fingerprint(operation, request)

    monkeypatch.setattr(idempotency, "fingerprint", watched)
    send(a_payer("100.00"), a_person())
    assert PIN not in str(seen)


def test_phone_numbers_can_be_tried_only_so_often(db: None) -> None:
    ann, ben = a_payer("100.00"), a_person()
    change(policy="people.payee_lookups_of_a_person", value=2)
    for phone in (ben.phone, "+8613899999998"):
        with suppress(PayeeNotFound):
            send(ann, Payee(phone=phone))
    with nothing_changes():
        for dry_run in (True, False):
            with pytest.raises(RateLimited):
                send(ann, Payee(phone=ben.phone), key="k", dry_run=dry_run)
    assert not IdempotencyKey.objects.filter(key="k").exists()
    send(ann, ben)


@pytest.mark.parametrize("state", Transfer.State)
def test_the_table_of_moves_ends_where_it_should(state: Transfer.State) -> None:
    final = {Transfer.State.SETTLED, Transfer.State.RETURNED}
    assert (not transfers.MOVES[state]) == (state in final)


def test_a_recipients_wallet_is_opened_for_them(db: None) -> None:
    ann, ben = a_payer("100.00"), a_person()
    send(ann, ben)
    account = wallets.wallet_of(owner_id=ben.pk, currency="CNY")
    assert Transfer.objects.get().recipient_account_id == account.id
    assert isinstance(account.id, UUID)
