from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

import pytest
from django.db import IntegrityError, connection, transaction

from payments.flows import TRANSFER_SENT, TRANSFER_SETTLED
from superapp.ids import uuid7
from tests.wallet.ledger_world import World, a_ledger, balance, everything, faults, postings_of
from wallet import flows, ledger
from wallet.balances import balance_of
from wallet.errors import InsufficientFunds, LedgerFault
from wallet.flows import EntryKind
from wallet.holds import PlaceHold
from wallet.ledger import Plan
from wallet.ledger_sets import SetResult, post_set
from wallet.models import Account, Hold, JournalEntry

pytestmark = pytest.mark.django_db

LEGS = """
    SELECT i.item, i.position * 2 AS position, i.wallet AS account_id, i.amount, i.item AS subject
    FROM unnest(%(items)s::uuid[], %(wallets)s::uuid[], %(amounts)s::numeric[]) WITH ORDINALITY
         AS i (item, wallet, amount, position)
    UNION ALL
    SELECT i.item, i.position * 2 + 1, %(other)s::uuid, -i.amount, i.item
    FROM unnest(%(items)s::uuid[], %(wallets)s::uuid[], %(amounts)s::numeric[]) WITH ORDINALITY
         AS i (item, wallet, amount, position)
"""


def _set(
    world: World, kind: EntryKind, rows: Sequence[tuple[int, str]], **options: object
) -> tuple[SetResult, list[UUID]]:
    items = [uuid7() for _ in rows]
    params = {
        "items": items,
        "wallets": [world.wallets[wallet] for wallet, _ in rows],
        "amounts": [Decimal(amount) for _, amount in rows],
        "other": world.in_transit,
    }
    with transaction.atomic():
        return post_set(kind=kind, legs=LEGS, params=params, **options), items  # type: ignore[arg-type]


def test_a_set_writes_one_entry_per_item_and_moves_every_balance() -> None:
    world = a_ledger(balances=["0", "0", "100.00"])
    world.send(2, "100.00")

    result, items = _set(world, TRANSFER_SETTLED, [(0, "10.00"), (1, "20.00"), (0, "30.00")])

    assert (result.posted, result.legs, result.refused) == (3, 6, {})
    assert postings_of(world.wallets[0]) == [(1, 10, 10), (2, 30, 40)]
    assert postings_of(world.wallets[1]) == [(1, 20, 20)]
    assert balance_of(world.in_transit) == Decimal(40)
    entries = JournalEntry.objects.filter(kind="transfer_settled").order_by("id")
    assert [entry.subject for entry in entries] == items
    assert {entry.postings.count() for entry in entries} == {2}
    assert faults() == []


def test_with_one_leg_an_account_the_fast_path_writes_the_same() -> None:
    world = a_ledger(balances=["0", "5.00", "100.00"])
    world.send(2, "100.00")

    result, _ = _set(world, TRANSFER_SETTLED, [(0, "10.00"), (1, "20.00")], one_leg_per_account=True)

    assert (result.posted, result.legs) == (2, 4)
    assert postings_of(world.wallets[0]) == [(1, 10, 10)]
    assert postings_of(world.wallets[1]) == [(1, 5, 5), (2, 20, 25)]
    assert faults() == []


def test_a_broken_word_about_one_leg_an_account_writes_nothing() -> None:
    world = a_ledger(balances=["0", "100.00"])
    world.send(1, "100.00")
    before = everything()

    with pytest.raises((LedgerFault, IntegrityError), match=r"two legs|sum to zero"):
        _set(world, TRANSFER_SETTLED, [(0, "10.00"), (0, "20.00")], one_leg_per_account=True)

    assert everything() == before


def test_items_are_refused_one_by_one_in_their_order() -> None:
    world = a_ledger(balances=["100.00", "5.00"])

    result, items = _set(
        world, TRANSFER_SENT, [(0, "-60.00"), (0, "-50.00"), (1, "-5.01"), (0, "-40.00"), (1, "-5.00")]
    )

    assert result.refused == {items[1]: "INSUFFICIENT_FUNDS", items[2]: "INSUFFICIENT_FUNDS"}
    assert result.posted == 3
    assert balance(world.wallets[0]) == 0
    assert balance(world.wallets[1]) == 0
    assert faults() == []


def test_an_item_for_a_closed_account_is_refused_and_the_rest_is_written() -> None:
    world = a_ledger(balances=["0", "0", "30.00"])
    world.send(2, "30.00")
    Account.objects.filter(id=world.wallets[0]).update(closed=True)

    result, items = _set(world, TRANSFER_SETTLED, [(0, "10.00"), (1, "20.00")])

    assert result.refused == {items[0]: "ACCOUNT_CLOSED"}
    assert balance(world.wallets[1]) == Decimal(20)
    assert postings_of(world.wallets[0]) == []


def test_in_one_entry_a_refusal_is_raised_and_nothing_is_written() -> None:
    world = a_ledger(balances=["1.00", "100.00"])
    before = everything()

    with pytest.raises(InsufficientFunds):
        _set(world, TRANSFER_SENT, [(1, "-60.00"), (0, "-1.01")], one_entry=uuid7(), subject=uuid7())

    assert everything() == before


def test_a_set_may_be_one_entry() -> None:
    world = a_ledger(balances=["1.00", "100.00"])
    entry, run = uuid7(), uuid7()

    _set(world, TRANSFER_SENT, [(1, "-60.00"), (0, "-1.00")], one_entry=entry, subject=run)

    written = JournalEntry.objects.get(id=entry)
    assert (written.subject, written.postings.count()) == (run, 4)


def test_a_leg_against_the_flow_or_on_no_account_writes_nothing() -> None:
    world = a_ledger(balances=["10.00"])
    before = everything()

    with pytest.raises(LedgerFault, match="may not move"):
        _set(world, TRANSFER_SETTLED, [(0, "-1.00")])
    nowhere = World(bank=world.bank, in_transit=uuid7(), wallets=world.wallets)
    with pytest.raises((LedgerFault, IntegrityError), match=r"unknown account|sum to zero"):
        _set(nowhere, TRANSFER_SENT, [(0, "-1.00")])

    assert everything() == before


@pytest.mark.parametrize(
    ("currency", "exact", "finer"), [("JPY", "-3", "-0.5"), ("CNY", "-0.10", "-0.001"), ("KWD", "-0.125", "-0.0005")]
)
def test_an_amount_finer_than_the_minor_unit_writes_nothing(currency: str, exact: str, finer: str) -> None:
    world = a_ledger(balances=["10"], currency=currency)
    _set(world, TRANSFER_SENT, [(0, exact)])
    before = everything()

    with pytest.raises(LedgerFault, match="decimals"):
        _set(world, TRANSFER_SENT, [(0, exact), (0, finer)])

    assert everything() == before
    assert balance(world.wallets[0]) == Decimal(10) + Decimal(exact)


def test_the_callers_rows_change_in_the_same_statement() -> None:
    world = a_ledger(balances=["10.00"])
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE done (item uuid, entry_id uuid) ON COMMIT DROP")

    _, items = _set(
        world, TRANSFER_SENT, [(0, "-1.00"), (0, "-20.00")], then=["INSERT INTO done SELECT item, entry_id FROM posted"]
    )

    with connection.cursor() as cursor:
        cursor.execute("SELECT d.item, e.subject FROM done d JOIN wallet_journalentry e ON e.id = d.entry_id")
        assert cursor.fetchall() == [(items[0], items[0])]


def test_a_set_captures_holds_and_frees_what_is_left_of_them() -> None:
    world = a_ledger(balances=["100.00"])
    wallet, hold = world.wallets[0], uuid7()
    place = PlaceHold(account=wallet, hold_id=hold, amount=Decimal(100), subject=uuid7())
    ledger.post(Plan(kind=flows.TOP_UP, subject=uuid7(), legs=(), holds=[place]))
    item = uuid7()

    with transaction.atomic():
        result = post_set(
            kind=TRANSFER_SENT,
            legs=LEGS,
            params={
                "items": [item],
                "wallets": [wallet],
                "amounts": [Decimal(-70)],
                "other": world.in_transit,
                "hold": hold,
            },
            captures="SELECT unnest(%(items)s::uuid[]) AS item, %(hold)s::uuid AS hold_id, "
            "unnest(%(wallets)s::uuid[]) AS account_id, 70::numeric AS amount, true AS final",
        )

    account, row = Account.objects.get(id=wallet), Hold.objects.get(id=hold)
    assert (result.posted, account.balance, account.held) == (1, 30, 0)
    assert (row.state, row.captured, row.released, row.remaining) == ("captured", 70, 30, 0)
    assert faults() == []
