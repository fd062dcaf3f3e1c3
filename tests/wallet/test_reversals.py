"""An entry is taken back whole and once, asked for by one person and approved by another: the database sees to it."""

from collections.abc import Callable
from decimal import Decimal
from uuid import UUID

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from payments.flows import TRANSFER_SENT
from superapp import clock
from superapp.errors import NotFound
from superapp.ids import uuid7
from superapp.models import User
from tests.factories import a_payer, a_person, an_operator
from tests.interleaving import actors
from tests.owners_hand import the_owners_hand
from tests.picture import assert_ledger_is_sound, nothing_changes
from tests.wallet.ledger_world import World, a_ledger, balance, faults, postings_of, taken_back
from wallet import flows, ledger, reversals
from wallet.balances import balance_of
from wallet.errors import (
    AccountClosed,
    AccountFrozen,
    AlreadyReversed,
    EntryNotReversible,
    InsufficientFunds,
    ReversalDecided,
    ReversalStanding,
    SecondPersonNeeded,
)
from wallet.holds import PlaceHold
from wallet.ledger import Leg, Plan
from wallet.models import Account, JournalEntry, ReversalRequest
from wallet.verification import verify


def asked(entry: UUID, by: User | None = None) -> ReversalRequest:
    return reversals.request(entry_id=entry, reason="The bank booked it twice.", by=by or an_operator())


@pytest.fixture
def world(db: None) -> World:
    return a_ledger(balances=["10.00"])


@pytest.mark.django_db
def test_an_entry_is_taken_back_posting_for_posting_and_once(world: World) -> None:
    topped_up = world.top_up(0, "4.00")

    back = taken_back(topped_up.entry_id)

    entry = JournalEntry.objects.get(id=back)
    assert (entry.kind, entry.reverses_id) == ("reversal", topped_up.entry_id)
    assert postings_of(world.wallets[0])[-1] == (3, Decimal(-4), Decimal(10))
    assert balance_of(world.bank) == Decimal(-10)
    with pytest.raises(AlreadyReversed) as refusal, nothing_changes():
        taken_back(topped_up.entry_id)
    assert refusal.value.entry == topped_up.entry_id
    assert faults() == []


@pytest.mark.django_db
def test_a_reversal_is_not_reversed_nor_what_a_product_keeps_a_row_of(world: World) -> None:
    back = taken_back(world.top_up(0, "4.00").entry_id)
    sent = world.send(0, "1.00").entry_id

    for entry, kind in ((back, "reversal"), (sent, "transfer_sent")):
        with pytest.raises(EntryNotReversible) as refusal, nothing_changes():
            taken_back(entry)
        assert refusal.value.kind == kind
        with pytest.raises(EntryNotReversible), nothing_changes():
            asked(entry)
    with pytest.raises(NotFound), nothing_changes():
        taken_back(uuid7())


def test_only_money_that_no_products_row_speaks_of_can_be_reversed() -> None:
    """A kind that becomes reversible is decided here too: its product's checks must hold after a reversal."""
    assert {kind.code for kind in flows.entry_kinds() if kind.reversible} == {"top_up"}


@pytest.mark.django_db
def test_what_is_spent_or_held_cannot_be_taken_back(world: World) -> None:
    topped_up = world.top_up(0, "4.00").entry_id
    hold = PlaceHold(account=world.wallets[0], hold_id=uuid7(), amount=Decimal("10.01"), subject=uuid7())
    with transaction.atomic():
        ledger.post(Plan(kind=TRANSFER_SENT, subject=uuid7(), legs=(), holds=[hold]))

    with pytest.raises(InsufficientFunds) as refusal, nothing_changes():
        taken_back(topped_up)

    assert refusal.value.available == Decimal("3.99")


@pytest.mark.django_db
@pytest.mark.parametrize(("state", "refusal"), [("closed", AccountClosed), ("frozen", AccountFrozen)])
def test_an_account_that_gives_nothing_keeps_what_it_got(world: World, state: str, refusal: type[Exception]) -> None:
    topped_up = world.top_up(0, "4.00").entry_id
    Account.objects.filter(id=world.wallets[0]).update(**{state: True})
    request = asked(topped_up)

    with pytest.raises(refusal), nothing_changes():
        reversals.approve(request_id=request.pk, by=an_operator())

    assert ReversalRequest.objects.get(pk=request.pk).state == "requested"


@pytest.mark.django_db
def test_one_person_asks_and_another_approves() -> None:
    payer, maker, checker = a_payer("25.00"), an_operator("Maker"), an_operator("Checker")
    wallet = Account.objects.get(owner=payer, kind="wallet")
    entry = JournalEntry.objects.get(kind="top_up", postings__account_id=wallet.pk)
    request = reversals.request(entry_id=entry.pk, reason="  Not theirs.  ", by=maker)
    assert (request.state, request.reason, balance(wallet.pk)) == ("requested", "Not theirs.", Decimal(25))
    with pytest.raises(SecondPersonNeeded), nothing_changes():
        reversals.approve(request_id=request.pk, by=maker)

    decided = reversals.approve(request_id=request.pk, by=checker)

    kept = ReversalRequest.objects.get(pk=request.pk)
    reversal = JournalEntry.objects.get(reverses=entry.pk)
    assert (kept.state, kept.requested_by, kept.decided_by, kept.reversal_id) == (
        "approved",
        maker,
        checker,
        reversal.pk,
    )
    assert decided.decided_at == kept.decided_at
    assert (reversal.subject, balance(wallet.pk)) == (request.pk, Decimal(0))
    assert_ledger_is_sound()
    for decide in (reversals.approve, reversals.decline):
        with pytest.raises(ReversalDecided), nothing_changes():
            decide(request_id=request.pk, by=an_operator())
    with pytest.raises(AlreadyReversed), nothing_changes():
        asked(entry.pk)


@pytest.mark.django_db
def test_a_declined_request_may_be_made_again_and_an_open_one_not(world: World) -> None:
    topped_up, maker = world.top_up(0, "4.00").entry_id, an_operator()
    first = asked(topped_up, maker)
    with pytest.raises(ReversalStanding) as refusal, nothing_changes():
        asked(topped_up)
    assert refusal.value.state == "requested"

    reversals.decline(request_id=first.pk, by=maker)
    second = asked(topped_up, maker)

    assert list(ReversalRequest.objects.order_by("id").values_list("state", flat=True)) == ["declined", "requested"]
    assert second.pk != first.pk
    assert balance(world.wallets[0]) == Decimal(14)


@pytest.mark.django_db
def test_a_request_says_why_and_names_an_entry_that_exists(world: World) -> None:
    topped_up = world.top_up(0, "4.00").entry_id
    for reason in ("", "   ", "x" * 501):
        with pytest.raises(ValueError, match="reason"), nothing_changes():
            reversals.request(entry_id=topped_up, reason=reason, by=an_operator())
    with pytest.raises(NotFound), nothing_changes():
        asked(uuid7())
    with pytest.raises(NotFound), nothing_changes():
        reversals.approve(request_id=uuid7(), by=an_operator())


def _update(values: str) -> Callable[[ReversalRequest, User], None]:
    def change(request: ReversalRequest, other: User) -> None:
        with transaction.atomic(), the_owners_hand(), connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE wallet_reversalrequest SET {values} WHERE id = %(request)s",
                {"request": request.pk, "maker": request.requested_by_id, "other": other.pk, "none": uuid7()},
            )

    return change


def _inserted_as_approved(request: ReversalRequest, other: User) -> None:
    with transaction.atomic():
        ReversalRequest.objects.create(
            entry_id=request.entry_id,
            reason="Quick.",
            state="approved",
            requested_by=request.requested_by,
            requested_at=clock.now(),
            decided_by=other,
            decided_at=clock.now(),
            reversal_id=uuid7(),
        )


def _deleted(request: ReversalRequest, other: User) -> None:
    with transaction.atomic():
        request.delete()


def _deleted_by_the_owner(request: ReversalRequest, other: User) -> None:
    with transaction.atomic(), the_owners_hand():
        request.delete()


def _asked_by_another(request: ReversalRequest, other: User) -> None:
    with transaction.atomic():
        ReversalRequest.objects.filter(pk=request.pk).update(requested_by=other)


DECIDED = "state = 'approved', decided_at = now(), decided_by_id = %(other)s, reversal_id = "
REVERSAL = "(SELECT id FROM wallet_journalentry WHERE reverses_id = entry_id)"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (_update(DECIDED + "%(none)s"), "names the entry that carries it out"),
        (_update("reason = 'Another.'"), "stays as it was asked"),
        (_update("requested_by_id = %(other)s"), "stays as it was asked"),
        (_update("state = 'declined'"), "a_decided_reversal_request_says_by_whom"),
        (_inserted_as_approved, "requested before it is decided"),
        (_deleted, "permission denied"),
        (_deleted_by_the_owner, "is append-only"),
        (_asked_by_another, "permission denied"),
    ],
)
def test_the_database_keeps_what_was_asked_whoever_asks(
    world: World, change: Callable[[ReversalRequest, User], None], rule: str
) -> None:
    request = asked(world.top_up(0, "4.00").entry_id)

    with pytest.raises(DatabaseError, match=rule), nothing_changes():
        change(request, an_operator())


@pytest.mark.django_db
def test_the_database_refuses_an_approval_by_who_asked_even_where_the_reversal_is_posted(world: World) -> None:
    topped_up = world.top_up(0, "4.00").entry_id
    request = asked(topped_up)
    with transaction.atomic():
        ledger.reverse(topped_up, subject=request.pk)

    with pytest.raises(IntegrityError, match="another_person_approves"), nothing_changes():
        _update(DECIDED.replace("other", "maker") + REVERSAL)(request, request.requested_by)
    _update(DECIDED + REVERSAL)(request, an_operator())
    with pytest.raises(DatabaseError, match="decided once"), nothing_changes():
        _update("decided_at = now()")(request, a_person())


def _bare(world: World, topped_up: UUID) -> None:
    ledger.reverse(topped_up, subject=uuid7())


def _only_asked_for(world: World, topped_up: UUID) -> None:
    ledger.reverse(topped_up, subject=asked(topped_up).pk)


def _declined(world: World, topped_up: UUID) -> None:
    request = asked(topped_up)
    reversals.decline(request_id=request.pk, by=an_operator())
    ledger.reverse(topped_up, subject=request.pk)


def _approved_for_another_entry(world: World, topped_up: UUID) -> None:
    other = asked(world.top_up(0, "4.00").entry_id)
    reversals.approve(request_id=other.pk, by=an_operator())
    ledger.reverse(topped_up, subject=other.pk)


def _of_another_amount(world: World, topped_up: UUID) -> None:
    request = asked(topped_up)
    legs = [Leg(world.bank, Decimal(1)), Leg(world.wallets[0], Decimal(-1))]
    back = ledger.post(Plan(kind=flows.REVERSAL, subject=request.pk, legs=legs, reverses=topped_up))[0].entry_id
    ReversalRequest.objects.filter(pk=request.pk).update(
        state="approved", decided_by=an_operator(), decided_at=clock.now(), reversal_id=back
    )


def _naming_nothing(world: World, topped_up: UUID) -> None:
    legs = [Leg(world.bank, Decimal(4)), Leg(world.wallets[0], Decimal(-4))]
    ledger.post(Plan(kind=flows.REVERSAL, subject=uuid7(), legs=legs))


def _by_another_name(world: World, topped_up: UUID) -> None:
    legs = [Leg(world.bank, Decimal(-4)), Leg(world.wallets[0], Decimal(4))]
    ledger.post(Plan(kind=flows.TOP_UP, subject=uuid7(), legs=legs, reverses=topped_up))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("reverse", "rule"),
    [
        (_bare, "no request says so that one person made and another approved"),
        (_only_asked_for, "no request says so"),
        (_declined, "no request says so"),
        (_approved_for_another_entry, "no request says so"),
        (_of_another_amount, "with every sign turned"),
        (_naming_nothing, "a reversal, and nothing else, names the entry it takes back"),
        (_by_another_name, "a reversal, and nothing else, names the entry it takes back"),
    ],
)
def test_the_database_refuses_a_reversal_that_does_not_carry_out_an_approved_request(
    world: World, reverse: Callable[[World, UUID], None], rule: str
) -> None:
    topped_up = world.top_up(0, "4.00").entry_id

    def and_end() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            reverse(world, topped_up)
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # as COMMIT does

    with pytest.raises(IntegrityError, match=rule), nothing_changes():
        and_end()


def test_a_reversal_that_nobody_approved_does_not_commit(committed_db: None) -> None:
    world = a_ledger(balances=["10.00"])
    topped_up = world.top_up(0, "4.00").entry_id

    with pytest.raises(IntegrityError, match="no request says so"), nothing_changes(), transaction.atomic():
        ledger.reverse(topped_up, subject=uuid7())

    assert taken_back(topped_up) == JournalEntry.objects.get(reverses=topped_up).pk
    assert balance(world.wallets[0]) == Decimal(10)
    assert faults() == []


@pytest.mark.django_db
def test_verification_names_a_reversal_that_nobody_approved(world: World) -> None:
    topped_up = world.top_up(0, "4.00").entry_id
    with the_owners_hand(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE wallet_journalentry DISABLE TRIGGER reversal_is_approved")
    back = ledger.reverse(topped_up, subject=uuid7()).entry_id

    found = [each for findings in verify().values() for each in findings if each.invariant == "I10"]

    assert [each.row for each in found] == [f"entry {back}"]


def test_of_two_reversals_at_once_the_second_is_told_of_the_first(committed_db: None) -> None:
    world = a_ledger(balances=["10.00"])
    topped_up = world.top_up(0, "4.00").entry_id

    with actors(2) as (first, second):
        first.begin(lambda: taken_back(topped_up), stop_after="INSERT INTO wallet_journalentry")
        second.begin(lambda: taken_back(topped_up))
        second.waits_for(first)
        first.go_on()
        first.answer()
        with pytest.raises(AlreadyReversed):
            second.answer()

    assert balance(world.wallets[0]) == Decimal(10)
    assert faults() == []


def test_of_two_who_approve_at_once_one_does(committed_db: None) -> None:
    world = a_ledger(balances=["10.00"])
    request = asked(world.top_up(0, "4.00").entry_id)
    one, other = an_operator(), an_operator()

    with actors(2) as (first, second):
        first.begin(
            lambda: reversals.approve(request_id=request.pk, by=one), stop_after="INSERT INTO wallet_journalentry"
        )
        second.begin(lambda: reversals.decline(request_id=request.pk, by=other))
        second.waits_for(first)
        first.go_on()
        assert first.answer().decided_by == one
        with pytest.raises(ReversalDecided):
            second.answer()

    assert ReversalRequest.objects.get(pk=request.pk).decided_by == one
    assert balance(world.wallets[0]) == Decimal(10)
    assert faults() == []
