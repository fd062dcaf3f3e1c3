"""A frozen account takes money in and lets none out; it is frozen by what verification finds, and lifted by a person."""

from collections.abc import Callable
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from superapp.errors import NotFound
from superapp.ids import uuid7
from tests import factories
from tests.many import at_once
from tests.owners_hand import the_owners_hand
from tests.picture import nothing_changes
from tests.wallet.ledger_world import World, a_ledger, balance
from wallet import flows, freezes, ledger
from wallet.assurance import AccountFreeze
from wallet.errors import AccountFrozen
from wallet.freezes import Suspicion
from wallet.holds import PlaceHold, ReleaseHold
from wallet.ledger import Plan
from wallet.ledger_sets import post_set
from wallet.models import Account

Reason = AccountFreeze.Reason


def suspicion(row: str, fault: str = "it is 5, not 4", reason: Reason = Reason.INVARIANT) -> Suspicion:
    return Suspicion(row=row, fault=fault, found_by="I3 each balance is the sum of its postings", reason=reason)


def a_frozen_wallet(world: World, number: int = 0) -> AccountFreeze:
    return freezes.freeze([suspicion(f"account {world.wallets[number]}")])[0]


def test_money_out_of_a_frozen_account_is_refused_with_its_case_and_nothing_changes(db: None) -> None:
    world = a_ledger(balances=["100.00"])
    case = a_frozen_wallet(world)

    with nothing_changes(), pytest.raises(AccountFrozen) as refusal:
        world.send(0, "10.00")

    assert refusal.value.case == case.pk
    assert "can be received" in refusal.value.message


def test_money_into_a_frozen_account_is_kept(db: None) -> None:
    world = a_ledger(balances=["100.00"])
    a_frozen_wallet(world)

    world.top_up(0, "5.00")

    assert balance(world.wallets[0]) == Decimal("105.00")


def test_no_hold_is_placed_on_a_frozen_account_and_one_that_is_there_is_released(db: None) -> None:
    world = a_ledger(balances=["100.00"])
    account, hold = world.wallets[0], uuid7()

    def step(step: PlaceHold | ReleaseHold) -> None:
        with transaction.atomic():
            ledger.post(Plan(kind=flows.TOP_UP, subject=hold, legs=[], holds=[step]))

    step(PlaceHold(account=account, hold_id=hold, amount=Decimal(40), subject=hold))
    a_frozen_wallet(world)

    with nothing_changes(), pytest.raises(AccountFrozen):
        step(PlaceHold(account=account, hold_id=uuid7(), amount=Decimal(1), subject=hold))
    step(ReleaseHold(account=account, hold_id=hold))

    assert Account.objects.get(pk=account).held == 0


EITHER_WAY = flows.EntryKind(
    code="own_either_way",
    legs=(flows.either(flows.WALLET), flows.either(flows.IN_TRANSIT)),
    description="A test's own move.",
)


def _a_set(world: World, legs: list[tuple[int, str]], *, one_entry: bool = False) -> dict[object, str]:
    """Sends from, or (a negative amount) tops up, the wallets named; answers what was refused, by wallet."""
    items = [uuid7() for _ in legs]
    with transaction.atomic():
        result = post_set(
            kind=EITHER_WAY,
            legs="SELECT x.item, x.position, l.account_id, l.amount, x.item AS subject FROM unnest(%(items)s::uuid[], "
            "%(wallets)s::uuid[], %(amounts)s::numeric[]) WITH ORDINALITY AS x (item, wallet, amount, position) "
            "CROSS JOIN LATERAL (VALUES (x.wallet, x.amount), (%(transit)s::uuid, -x.amount)) AS l (account_id, amount)",
            params={
                "items": items,
                "wallets": [world.wallets[number] for number, _ in legs],
                "amounts": [Decimal(amount) for _, amount in legs],
                "transit": world.in_transit,
            },
            one_entry=uuid7() if one_entry else None,
            subject=uuid7() if one_entry else None,
        )
    return {legs[items.index(item)][0]: code for item, code in result.refused.items()}


def test_in_a_set_the_items_that_take_from_a_frozen_account_are_refused_and_the_others_written(db: None) -> None:
    world = a_ledger(balances=["100.00", "100.00", "100.00"])
    a_frozen_wallet(world, 0)
    a_frozen_wallet(world, 2)

    refused = _a_set(world, [(0, "-10.00"), (1, "-10.00"), (2, "10.00")])

    assert refused == {0: "ACCOUNT_FROZEN"}
    assert [balance(wallet) for wallet in world.wallets] == [Decimal(100), Decimal(90), Decimal(110)]


def test_a_set_that_is_one_entry_is_refused_whole_with_the_case(db: None) -> None:
    world = a_ledger(balances=["100.00", "100.00"])
    case = a_frozen_wallet(world)

    with nothing_changes(), pytest.raises(AccountFrozen) as refusal:
        _a_set(world, [(1, "-10.00"), (0, "-10.00")], one_entry=True)

    assert refusal.value.case == case.pk


def test_accounts_are_frozen_by_what_names_them_once_and_the_systems_never(db: None) -> None:
    world = a_ledger(balances=["100.00", "100.00", "100.00"])
    hold, order = uuid7(), uuid7()
    with transaction.atomic():
        place = PlaceHold(account=world.wallets[2], hold_id=hold, amount=Decimal(1), subject=order)
        ledger.post(Plan(kind=flows.TOP_UP, subject=order, legs=[], holds=[place]))
    found = [
        suspicion(f"account {world.wallets[0]}"),
        suspicion(f"posting {world.wallets[0]}#1", "it was sealed otherwise", Reason.SEAL),
        suspicion(f"posting {world.wallets[1]}#1"),
        suspicion(f"hold {hold}"),
        suspicion(f"account {world.bank}"),
        suspicion(f"entry {uuid4()}"),
        suspicion(f"account {uuid4()}"),
    ]

    cases = freezes.freeze(found)
    again = freezes.freeze([suspicion(f"account {world.wallets[1]}", "something else")])

    assert {case.account_id: case.reason for case in cases} == {
        world.wallets[0]: Reason.SEAL,
        world.wallets[1]: Reason.INVARIANT,
        world.wallets[2]: Reason.INVARIANT,
    }
    assert cases[0].finding.splitlines() == [
        f"account {world.wallets[0]}: it is 5, not 4",
        f"posting {world.wallets[0]}#1: it was sealed otherwise",
    ]
    assert again == []
    assert set(Account.objects.filter(frozen=True).values_list("pk", flat=True)) == set(world.wallets)


def test_a_lifted_account_pays_again_and_is_not_frozen_for_the_same_finding(db: None) -> None:
    world = a_ledger(balances=["100.00"])
    case = a_frozen_wallet(world)
    auditor = factories.an_operator()
    with pytest.raises(ValueError, match="reason"):
        freezes.lift(case_id=case.pk, by=auditor, reason="  ")

    lifted = freezes.lift(case_id=case.pk, by=auditor, reason="The books were mended.")
    world.send(0, "10.00")

    assert (lifted.lifted_by, lifted.lift_reason) == (auditor, "The books were mended.")
    with pytest.raises(NotFound):
        freezes.lift(case_id=case.pk, by=auditor, reason="Once more.")
    assert freezes.freeze([suspicion(f"account {world.wallets[0]}")]) == []
    assert freezes.freeze([suspicion(f"account {world.wallets[0]}", "it is 7, not 4")]) != []


def test_verifications_at_once_open_one_case(committed_db: None) -> None:
    world = a_ledger(balances=["100.00"])

    opened = at_once([lambda: freezes.freeze([suspicion(f"account {world.wallets[0]}")])] * 8)

    assert sorted(len(cases) if isinstance(cases, list) else -1 for cases in opened) == [0] * 7 + [1]


def _and_end(change: Callable[[], object]) -> None:
    """The change as a transaction of its own would come to its end with it."""
    with transaction.atomic(), connection.cursor() as cursor:
        change()
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def test_the_database_keeps_an_account_frozen_until_its_case_is_lifted(db: None) -> None:
    world = a_ledger(balances=["100.00"])
    case = a_frozen_wallet(world)
    thaw = Account.objects.filter(pk=world.wallets[0]).update

    with pytest.raises(IntegrityError, match="is frozen while its case is open"), nothing_changes():
        _and_end(lambda: thaw(frozen=False))
    _and_end(lambda: freezes.lift(case_id=case.pk, by=factories.an_operator(), reason="Looked into."))

    assert not Account.objects.get(pk=world.wallets[0]).frozen


def test_the_database_keeps_what_was_found_and_who_lifted_it(db: None) -> None:
    world = a_ledger(balances=["100.00"])
    case, operator = a_frozen_wallet(world), factories.an_operator()
    rows = AccountFreeze.objects.filter(pk=case.pk)

    with pytest.raises(DatabaseError, match="permission denied"):
        _and_end(lambda: rows.update(finding="Nothing."))
    with (
        pytest.raises(DatabaseError, match="otherwise stays as it was opened"),
        transaction.atomic(),
        the_owners_hand(),
    ):
        rows.update(finding="Nothing.")
    freezes.lift(case_id=case.pk, by=operator, reason="Looked into.")
    with pytest.raises(DatabaseError, match="is lifted once"):
        _and_end(lambda: rows.update(lift_reason="Another."))
    with pytest.raises(IntegrityError, match="opened before it is lifted"):
        _and_end(lambda: AccountFreeze.objects.bulk_create([_lifted_at_birth(rows.get())]))


def _lifted_at_birth(case: AccountFreeze) -> AccountFreeze:
    case.pk = uuid7()
    return case
