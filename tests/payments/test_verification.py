"""`verify_ledger` names each transfer that does not agree with the ledger."""

from collections.abc import Callable
from uuid import uuid4

import pytest

from payments import settlement
from payments.models import Transfer
from tests.factories import a_payer, a_transfer
from tests.picture import assert_ledger_is_sound
from wallet.models import TopUp
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
        (lambda rows: rows.delete(), {"I9", "I21"}),
    ],
    ids=["another amount", "another entry", "settled by hand", "deleted"],
)
def test_a_transfer_changed_by_hand_while_in_transit_is_found(
    db: None, spoil: Callable[..., object], broken: set[str]
) -> None:
    a_transfer(a_payer("100.00"), a_payer("0"))
    assert_ledger_is_sound()
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
    Transfer.objects.update(recipient=a_payer("0").pk)
    assert findings() == {"I21"}
    assert f"transfer {transfer}" in named()


def test_a_top_up_changed_by_hand_is_found(db: None) -> None:
    a_payer("100.00")
    TopUp.objects.update(amount="99.00")
    assert findings() == {"I9"}
    TopUp.objects.update(amount="100.00", state="failed", entry_id=None)
    assert findings() == {"I9"}
