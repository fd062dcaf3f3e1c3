"""Spending the same money many times at once, with real connections: one wins, and the ledger says so."""

from collections import Counter
from decimal import Decimal
from uuid import uuid4

import pytest

from payments import settlement, transfers
from payments.models import Transfer
from payments.payees import Payee
from superapp.models import User
from tests.factories import PIN, a_payer, a_person
from tests.many import at_once
from tests.picture import assert_ledger_is_sound
from wallet.errors import InsufficientFunds
from wallet.models import Account, JournalEntry


def send(sender: User, to: User, amount: str, *, key: str | None = None) -> transfers.Sent:
    return transfers.send_money(
        sender_id=sender.pk,
        to=Payee(id=to.pk),
        amount=Decimal(amount),
        currency="CNY",
        note="",
        pin=PIN,
        key=key or str(uuid4()),
    )


def balance_of(person: User) -> Decimal:
    return Account.objects.get(owner=person).balance


def kinds(answers: list[transfers.Sent | Exception]) -> dict[str, int]:
    return dict(Counter(type(answer).__name__ for answer in answers))


def test_of_fifty_spends_of_the_last_hundred_at_once_one_wins(committed_db: object) -> None:
    ann, ben = a_payer("100.00"), a_person()
    answers = at_once([lambda: send(ann, ben, "100.00")] * 50, threads=25)
    assert kinds(answers) == {"Sent": 1, "InsufficientFunds": 49}
    refusals = [answer for answer in answers if isinstance(answer, InsufficientFunds)]
    assert {refusal.available for refusal in refusals} == {Decimal("0.00")}
    assert balance_of(ann) == 0
    assert Transfer.objects.count() == JournalEntry.objects.filter(kind="transfer_sent").count() == 1
    settlement.settle_everything_due()
    assert balance_of(ben) == Decimal("100.00")
    assert_ledger_is_sound()


def test_the_same_key_fifty_times_at_once_has_one_effect_and_one_answer(committed_db: object) -> None:
    ann, ben = a_payer("100.00"), a_person()
    answers = at_once([lambda: send(ann, ben, "2.00", key="k")] * 50, threads=25)
    assert kinds(answers) == {"Sent": 50}
    sent = [answer for answer in answers if isinstance(answer, transfers.Sent)]
    assert len({answer.transfer_id for answer in sent}) == 1
    assert sum(not answer.replayed for answer in sent) == 1
    assert balance_of(ann) == Decimal("98.00")
    assert Transfer.objects.count() == 1
    assert_ledger_is_sound()


@pytest.mark.parametrize("people", [2, 3], ids=["to and fro", "in a ring"])
def test_money_sent_in_opposite_directions_at_once_arrives_without_a_deadlock(
    committed_db: object, people: int
) -> None:
    ring = [a_payer("100.00") for _ in range(people)]
    jobs = [
        lambda sender=ring[number % people], to=ring[(number + 1) % people]: send(sender, to, "1.00")
        for number in range(12 * people)
    ]
    answers = at_once(jobs, threads=12)
    assert kinds(answers) == {"Sent": 12 * people}
    settlement.settle_everything_due()
    assert [balance_of(person) for person in ring] == [Decimal("100.00")] * people
    assert_ledger_is_sound()


def test_spending_while_settlement_credits_the_same_wallet_loses_nothing(committed_db: object) -> None:
    ann, ben = a_payer("100.00"), a_payer("50.00")
    for _ in range(20):
        send(ann, ben, "1.00")
    jobs = [(lambda: send(ben, ann, "1.00")) if number % 3 else settlement.settle_due for number in range(30)]
    answers = at_once(jobs, threads=10)
    assert not [answer for answer in answers if isinstance(answer, Exception)]
    settlement.settle_everything_due()
    assert [balance_of(ann), balance_of(ben)] == [Decimal("100.00"), Decimal("50.00")]
    assert_ledger_is_sound()
