"""`verify_ledger` names each transfer that does not agree with the ledger."""

from collections.abc import Callable
from uuid import uuid4

import pytest

from payments import settlement
from payments.models import Transfer
from superapp.models import IdempotencyKey
from tests.factories import a_payer, a_transfer
from tests.owners_hand import the_owners_hand
from tests.picture import assert_ledger_is_sound
from wallet.models import Account, TopUp
from wallet.verification import verify


def findings() -> set[str]:
    return {finding.invariant for found in verify().values() for finding in found}


def named() -> str:
    return " ".join(finding.row for found in verify().values() for finding in found)


@pytest.mark.parametrize(
    ("spoil", "broken"),
    [
        (lambda rows: rows.update(amount="9.99"), {"I21"}),
        (lambda rows: rows.update(sent_entry_id=uuid4()), {"I21"}),
        (
            lambda rows: rows.update(state="settled", settled_entry_id=uuid4(), ended_at="2026-01-01T00:00Z"),
            {"I9", "I21"},
        ),
        (lambda rows: rows.delete(), {"I9", "I12", "I21"}),
    ],
    ids=["another amount", "another entry", "settled by hand", "deleted"],
)
def test_a_transfer_changed_by_hand_while_in_transit_is_found(
    db: None, spoil: Callable[..., object], broken: set[str]
) -> None:
    a_transfer(a_payer("100.00"), a_payer("0"))
    assert_ledger_is_sound()
    with the_owners_hand():
        spoil(Transfer.objects.all())
    assert findings() == broken


def test_a_settled_transfer_set_back_by_hand_is_found_and_named(db: None) -> None:
    transfer = a_transfer(a_payer("100.00"), a_payer("0"))
    settlement.settle_everything_due()
    assert_ledger_is_sound()
    Transfer.objects.update(state="authorised", settled_entry_id=None, ended_at=None)
    assert findings() == {"I9", "I21"}
    assert f"transfer {transfer}" in named()


def test_a_transfer_given_to_somebody_else_by_hand_is_found(db: None) -> None:
    transfer = a_transfer(a_payer("100.00"), a_payer("0"))
    other = a_payer("0").pk
    with the_owners_hand():
        Transfer.objects.update(recipient=other)
    assert findings() == {"I21"}
    assert f"transfer {transfer}" in named()


@pytest.mark.parametrize(
    "spoil",
    [
        {"ended_at": "2026-01-01T00:00Z"},
        {"settled_entry_id": "00000000-0000-7000-8000-000000000000"},
        {"currency": "USD"},
        {"amount": "9.99"},
    ],
    ids=lambda spoil: next(iter(spoil)),
)
def test_a_settled_transfer_changed_by_hand_is_found_and_named(db: None, spoil: dict[str, str]) -> None:
    transfer = a_transfer(a_payer("100.00"), a_payer("0"))
    settlement.settle_everything_due()
    with the_owners_hand():
        Transfer.objects.update(**spoil)
    assert findings() == {"I21"}
    assert f"transfer {transfer}" in named()


@pytest.mark.parametrize("operation", ["sendMoney", "topUp"])
def test_a_key_that_answers_with_what_is_not_its_persons_or_with_anothers_effect_is_named(
    db: None, operation: str
) -> None:
    ann, ben = a_payer("100.00"), a_payer("100.00")
    a_transfer(ann, ben)
    assert_ledger_is_sound()
    key = IdempotencyKey.objects.get(operation=operation, user=ann)
    for change in ({"user": ben}, {"user": ann, "answer": {}}):
        for name, value in change.items():
            setattr(key, name, value)
        with the_owners_hand():
            key.save()
        assert (findings(), named()) == ({"I12"}, f"key {key.pk}")


def test_a_top_up_given_to_somebody_else_by_hand_is_found(db: None) -> None:
    a_payer("100.00")
    other, owner = a_payer("0").pk, Account.objects.filter(balance__gt=0).get().owner_id
    with the_owners_hand():
        TopUp.objects.update(owner=other)
    assert findings() == {"I12", "I21"}
    with the_owners_hand():
        TopUp.objects.update(owner=owner, currency="USD")
    assert findings() == {"I21"}


def test_a_top_up_changed_by_hand_is_found(db: None) -> None:
    a_payer("100.00")
    with the_owners_hand():
        TopUp.objects.update(amount="99.00")
    assert findings() == {"I9"}
    with the_owners_hand():
        TopUp.objects.update(amount="100.00", state="failed", entry_id=None)
    assert findings() == {"I9"}
