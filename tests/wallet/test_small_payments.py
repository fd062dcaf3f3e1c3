"""W12: small payments without PIN: off by default; up to the person's amount passes, above asks; no more than the day's sum."""

from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from payments import transfers
from payments.models import Transfer
from payments.payees import Payee
from superapp import clock
from superapp.errors import InvalidAmount
from superapp.models import User
from superapp.policies import change
from tests.asking import data_of
from tests.factories import PIN, a_payer, a_person
from tests.interleaving import actors, in_a_transaction
from tests.many import at_once
from tests.picture import assert_ledger_is_sound, nothing_changes
from wallet import pins, small_payments
from wallet.errors import InsufficientFunds, LimitExceeded, PinLocked, PinNotSet, PinRequired, PinWrong
from wallet.models import Account, PaymentPin

SET = """mutation S($input: SetSmallPaymentsInput!) { setSmallPayments(input: $input) { __typename
  ... on UserError { code } ... on SetSmallPaymentsSuccess { smallPayments { amount { amount } } } } }"""
SHOWN = "{ viewer { smallPayments { amount { amount currency } ofADay { amount } spentToday { amount } } } }"


def choose(person: User, amount: str = "20.00", *, currency: str = "CNY", pin: str | None = PIN) -> None:
    small_payments.choose(user_id=person.pk, amount=Decimal(amount), currency=currency, pin=pin)


def send(sender: User, to: User, amount: str, *, pin: str | None = None, **other: Any) -> transfers.Sent:
    asked: dict[str, Any] = {"currency": "CNY", "note": "", "key": str(uuid4())} | other
    return transfers.send_money(sender_id=sender.pk, to=Payee(id=to.pk), amount=Decimal(amount), pin=pin, **asked)


def test_without_a_choice_every_payment_asks(db: None) -> None:
    ann, ben = a_payer("100.00"), a_person()
    with nothing_changes(), pytest.raises(PinRequired):
        send(ann, ben, "0.01")
    assert small_payments.chosen_by(ann.pk) is None


def test_up_to_the_amount_passes_and_above_asks(db: None) -> None:
    ann, ben = a_payer("100.00"), a_person()
    choose(ann, "20.00")
    send(ann, ben, "20.00")
    with nothing_changes(), pytest.raises(PinRequired):
        send(ann, ben, "20.01", key="k")
    send(ann, ben, "20.01", pin=PIN, key="k")
    assert list(Transfer.objects.order_by("id").values_list("amount", flat=True)) == [
        Decimal("20.00"),
        Decimal("20.01"),
    ]
    chosen = small_payments.chosen_by(ann.pk)
    assert chosen == small_payments.SmallPayments(Decimal(20), "CNY", Decimal("3000.00"), Decimal(20))
    assert_ledger_is_sound()


def test_switching_on_and_raising_ask_for_the_pin_lowering_and_switching_off_do_not(db: None) -> None:
    ann, ben = a_payer("100.00"), a_person()
    for amount, before in [("10.00", None), ("10.01", "10.00")]:
        if before:
            choose(ann, before)
        with nothing_changes(), pytest.raises(PinRequired):
            choose(ann, amount, pin=None)
        with pytest.raises(PinWrong):
            choose(ann, amount, pin="864297")
    choose(ann, "5.00", pin=None)
    with pytest.raises(PinRequired):
        send(ann, ben, "5.01")
    small_payments.switch_off(user_id=ann.pk)
    with nothing_changes():
        with pytest.raises(PinRequired):
            send(ann, ben, "0.01")
        with pytest.raises(PinRequired):
            choose(ann, "0.01", pin=None)


def test_no_more_can_be_chosen_than_the_policy_allows_and_a_lowered_policy_rules_at_once(db: None) -> None:
    ann, ben = a_payer("100.00"), a_person()
    with nothing_changes():
        with pytest.raises(LimitExceeded) as refused:
            choose(ann, "1000.01")
        with pytest.raises(LimitExceeded):
            choose(ann, "1.00", currency="USD")
        with pytest.raises(InvalidAmount):
            choose(ann, "0")
    assert (refused.value.rule, refused.value.limit) == ("wallet.small_payment.maximum", Decimal("1000.00"))
    choose(ann, "50.00")
    change(policy="wallet.small_payment.maximum", value={"CNY": "10.00"})
    with nothing_changes(), pytest.raises(PinRequired):
        send(ann, ben, "10.01")
    send(ann, ben, "10.00")


def test_the_days_sum_bounds_them_until_the_next_business_day_whatever_is_switched_meanwhile(db: None) -> None:
    ann, ben = a_payer("100.00"), a_person()
    change(policy="wallet.small_payment.of_a_day", value={"CNY": "30.00"})
    choose(ann, "20.00")
    midnight = clock.start_of(clock.today() + timedelta(days=1))
    send(ann, ben, "20.00")
    with nothing_changes(), pytest.raises(PinRequired):
        send(ann, ben, "10.01")
    send(ann, ben, "10.00")
    small_payments.switch_off(user_id=ann.pk)
    choose(ann, "20.00")
    with clock.stopped_at(midnight - timedelta(microseconds=1)), pytest.raises(PinRequired):
        send(ann, ben, "0.01")
    with clock.stopped_at(midnight):
        send(ann, ben, "20.00")
    assert PaymentPin.objects.get(user=ann).small_spent == Decimal(20)


def test_a_payment_that_was_held_up_over_midnight_does_not_empty_the_new_day(db: None) -> None:
    ann, ben = a_payer("10000.00"), a_person()
    choose(ann, "200.00")
    change(policy="wallet.small_payment.of_a_day", value={"CNY": "300.00"})
    midnight = clock.start_of(clock.today() + timedelta(days=1))
    with clock.stopped_at(midnight):
        send(ann, ben, "200.00")
        send(ann, ben, "100.00")
    for instant in (midnight - timedelta(seconds=1), midnight):
        with clock.stopped_at(instant), pytest.raises(PinRequired):
            send(ann, ben, "200.00")


def test_what_is_refused_tried_or_told_again_counts_nothing(db: None) -> None:
    ann, ben = a_payer("15.00"), a_person()
    choose(ann, "20.00")
    with nothing_changes(), pytest.raises(InsufficientFunds):
        send(ann, ben, "15.01", key="k")
    with nothing_changes():
        send(ann, ben, "5.00", dry_run=True)
    first = send(ann, ben, "5.00", key="paid")
    small_payments.switch_off(user_id=ann.pk)
    with nothing_changes():
        assert send(ann, ben, "5.00", key="paid").transfer_id == first.transfer_id
        with pytest.raises(InsufficientFunds):
            send(ann, ben, "15.01", key="k")
    assert PaymentPin.objects.get(user=ann).small_spent == Decimal(5)


def test_while_the_pin_is_locked_or_missing_nothing_passes_without_it(db: None) -> None:
    ann, ben, cat = a_payer("100.00"), a_person(), a_payer("100.00", pin=None)
    choose(ann)
    for _ in range(5):
        with pytest.raises(PinWrong):
            pins.verify(user_id=ann.pk, pin="864297")
    with nothing_changes():
        with pytest.raises(PinLocked):
            send(ann, ben, "0.01")
        with pytest.raises(PinNotSet):
            send(cat, ben, "0.01")
        with pytest.raises(PinNotSet):
            choose(cat)


def test_of_many_at_once_no_more_pass_than_fit_into_the_day(committed_db: object) -> None:
    ann, ben = a_payer("1000.00"), a_person()
    change(policy="wallet.small_payment.of_a_day", value={"CNY": "30.00"})
    choose(ann, "10.00")
    answers = at_once([partial(send, ann, ben, "10.00") for _ in range(12)], threads=6)
    assert sum(isinstance(answer, transfers.Sent) for answer in answers) == 3
    assert sum(isinstance(answer, PinRequired) for answer in answers) == 9
    assert Account.objects.get(owner=ann).balance == Decimal(970)
    assert_ledger_is_sound()


def test_a_payment_that_waited_for_the_switching_off_asks(committed_db: object) -> None:
    ann, ben = a_payer("100.00"), a_person()
    choose(ann)
    with actors(2) as (owner, payer):
        owner.begin(in_a_transaction(lambda: small_payments.switch_off(user_id=ann.pk)), stop_after="UPDATE")
        payer.begin(lambda: send(ann, ben, "1.00"))
        payer.waits_for(owner)
        owner.go_on()
        owner.answer()
        with pytest.raises(PinRequired):
            payer.answer()
    assert not Transfer.objects.exists()


def test_a_phone_chooses_sees_and_pays(db: None) -> None:
    ann = a_payer("100.00")
    asked = {"amount": {"amount": "20.00", "currency": "CNY"}}
    assert data_of(ann, SHOWN)["viewer"]["smallPayments"] is None
    assert data_of(ann, SET, input=asked)["setSmallPayments"]["code"] == "PIN_REQUIRED"
    chosen = data_of(ann, SET, input=asked | {"pin": PIN})["setSmallPayments"]
    assert chosen["smallPayments"] == {"amount": {"amount": "20.00"}}
    send(ann, a_person(), "3.00")
    assert data_of(ann, SHOWN)["viewer"]["smallPayments"] == {
        "amount": {"amount": "20.00", "currency": "CNY"},
        "ofADay": {"amount": "3000.00"},
        "spentToday": {"amount": "3.00"},
    }
    assert data_of(ann, SET, input={})["setSmallPayments"] == {
        "__typename": "SetSmallPaymentsSuccess",
        "smallPayments": None,
    }
