"""Capacity: never exceeded by many at once, and nobody refused while there is room in any slot, or across them."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction

from superapp import clock
from tests.interleaving import actors, in_a_transaction
from tests.many import at_once
from tests.picture import nothing_changes
from wallet import capacity
from wallet.capacity import CapacityKind, Place, Standing
from wallet.errors import CapacityExhausted, LedgerFault
from wallet.models import Capacity
from wallet.verification import Finding, verify

NOON = datetime(2030, 3, 1, 12, 0, tzinfo=clock.business_zone())
TODAY = date(2030, 3, 1)
HOUR = timedelta(hours=1)

# What a product would count in its own rows: here a table that lives as long as the test's database.
RECOUNT = "SELECT scope, day, sum(amount) AS used FROM test_taken GROUP BY scope, day"


@pytest.fixture(autouse=True)
def kinds() -> Iterator[None]:
    """The kinds that a test declares are gone after it."""
    before = dict(capacity._kinds)
    yield
    capacity._kinds.clear()
    capacity._kinds.update(before)


def a_kind(*, slots: int = 1, decimals: int = 2) -> CapacityKind:
    return capacity.declare_capacity(
        "test_quota", used_sql=RECOUNT, doc="What a test may take.", slots=slots, decimals=decimals
    )


def a_place(*, slots: int = 1, decimals: int = 2, day: date | None = TODAY) -> Place:
    return Place(a_kind(slots=slots, decimals=decimals), scope="HARVEST", day=day)


def take(place: Place, amount: str, *, total: str = "100.00", at: datetime = NOON) -> None:
    with transaction.atomic():
        capacity.take(place, Decimal(amount), total=Decimal(total), at=at)


def give_back(place: Place, amount: str) -> None:
    with transaction.atomic():
        capacity.give_back(place, Decimal(amount))


def slots_of(place: Place) -> list[tuple[Decimal, Decimal]]:
    """Used and ceiling of each slot, in order."""
    return list(Capacity.objects.filter(kind=place.kind.code).order_by("slot").values_list("used", "ceiling"))


def used(place: Place) -> Decimal:
    now = capacity.standing(place)
    assert now is not None
    return now.used


@contextmanager
def refused(*, limit: str, used: str, remaining: str) -> Iterator[None]:
    with pytest.raises(CapacityExhausted) as refusal, nothing_changes():
        yield
    facts = refusal.value
    assert (facts.capacity, facts.scope) == ("test_quota", "HARVEST")
    assert (facts.limit, facts.used, facts.remaining) == (Decimal(limit), Decimal(used), Decimal(remaining))


@pytest.mark.django_db
@pytest.mark.parametrize("slots", [1, 4])
def test_all_of_it_can_be_taken_and_not_a_cent_more(slots: int) -> None:
    place = a_place(slots=slots)
    assert capacity.standing(place) is None
    take(place, "60.00")
    with refused(limit="100.00", used="60.00", remaining="40.00"):
        take(place, "40.01")

    take(place, "40.00")

    assert capacity.standing(place) == Standing(limit=Decimal(100), used=Decimal(100))
    with refused(limit="100.00", used="100.00", remaining="0.00"):
        take(place, "0.01")


@pytest.mark.django_db
def test_an_amount_that_fits_only_across_slots_is_taken_from_several() -> None:
    place = a_place(slots=3)
    take(place, "10.00")
    for _ in range(3):
        take(place, "25.00")
    assert [ceiling - taken for taken, ceiling in slots_of(place)] == [5, 5, 5]

    take(place, "14.00")

    assert used(place) == 99
    assert sum(ceiling for _, ceiling in slots_of(place)) == 100


@pytest.mark.django_db
def test_what_parts_leave_over_is_not_lost() -> None:
    place = a_place(slots=7, decimals=0)

    for _ in range(15):
        take(place, "1", total="15")

    assert used(place) == 15
    with refused(limit="15", used="15", remaining="0"):
        take(place, "1", total="15")


@pytest.mark.django_db
def test_what_is_given_back_can_be_taken_again_and_only_what_was_taken_can_be_given_back() -> None:
    place = a_place(slots=3)
    take(place, "100.00")
    give_back(place, "30.00")
    assert capacity.standing(place) == Standing(limit=Decimal(100), used=Decimal(70))
    with pytest.raises(LedgerFault, match="cannot be given back"), nothing_changes():
        give_back(place, "70.01")

    take(place, "30.00")

    assert used(place) == 100


@pytest.mark.django_db
def test_a_place_is_a_scope_and_a_day_or_none() -> None:
    kind = a_kind()
    places = [
        Place(kind, "A", TODAY),
        Place(kind, "B", TODAY),
        Place(kind, "A", TODAY + timedelta(days=1)),
        Place(kind, "A"),
    ]
    for number, place in enumerate(places, start=1):
        take(place, str(number))
        take(place, str(number))

    assert [used(place) for place in places] == [2, 4, 6, 8]
    with pytest.raises(LedgerFault, match="ever been taken"), nothing_changes():
        give_back(Place(kind, "C"), "1.00")


@pytest.mark.django_db
@pytest.mark.parametrize("slots", [1, 3])
def test_a_raised_total_counts_with_the_next_take_and_a_lowered_one_too(slots: int) -> None:
    place = a_place(slots=slots)
    take(place, "90.00")
    take(place, "20.00", total="120.00", at=NOON + HOUR)
    assert capacity.standing(place) == Standing(limit=Decimal(120), used=Decimal(110))

    with transaction.atomic():
        capacity.rule(place, total=Decimal(50), at=NOON + 2 * HOUR)
    with refused(limit="50.00", used="110.00", remaining="0"):
        take(place, "0.01", total="50.00", at=NOON + 2 * HOUR)
    give_back(place, "59.00")
    with refused(limit="50.00", used="51.00", remaining="0"):
        take(place, "0.01", total="50.00", at=NOON + 2 * HOUR)
    give_back(place, "2.00")
    take(place, "1.00", total="50.00", at=NOON + 2 * HOUR)

    assert capacity.standing(place) == Standing(limit=Decimal(50), used=Decimal(50))


@pytest.mark.django_db
def test_who_asked_the_policy_before_it_changed_does_not_bring_the_old_total_back() -> None:
    place = a_place(slots=2)
    take(place, "10.00", total="20.00", at=NOON + HOUR)

    take(place, "5.00", total="100.00", at=NOON)

    assert capacity.standing(place) == Standing(limit=Decimal(20), used=Decimal(15))
    with refused(limit="20.00", used="15.00", remaining="5.00"):
        take(place, "5.01", total="100.00", at=NOON)


@pytest.mark.django_db
def test_amounts_that_are_none_and_a_missing_transaction_are_faults() -> None:
    place = a_place()
    for amount in ("0", "-1.00"):
        with pytest.raises(LedgerFault), nothing_changes():
            take(place, amount)
        with pytest.raises(LedgerFault), nothing_changes():
            give_back(place, amount)
    with pytest.raises(ValueError, match="declared twice"):
        a_kind()
    with pytest.raises(ValueError, match="at least one slot"):
        capacity.declare_capacity("test_none", used_sql=RECOUNT, doc="None.", slots=0)


@pytest.mark.django_db
def test_the_database_refuses_a_slot_above_its_ceiling() -> None:
    place = a_place()
    take(place, "60.00")

    with pytest.raises(IntegrityError, match="used_stays_under_the_ceiling"), transaction.atomic():
        Capacity.objects.update(used=Decimal("100.01"))


@pytest.mark.django_db
def test_verification_recounts_each_place_by_its_kinds_own_query() -> None:
    place = a_place(slots=2)
    take(place, "60.00")
    take(Place(place.kind, "FOR GOOD"), "5.00")
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE test_taken (scope text, day date, amount numeric) ON COMMIT DROP")
        cursor.execute("INSERT INTO test_taken VALUES ('HARVEST', %s, 60), ('FOR GOOD', NULL, 5)", [TODAY])
    assert _i22() == []

    with connection.cursor() as cursor:
        cursor.execute("UPDATE test_taken SET amount = 61 WHERE scope = 'HARVEST'")
        cursor.execute("INSERT INTO test_taken VALUES ('MISSED', NULL, 7)")
    assert sorted((each.row, each.fault) for each in _i22()) == [
        ("capacity test_quota HARVEST 2030-03-01", "it has 60.0000 used; the ledger shows 61"),
        ("capacity test_quota MISSED ", "it has 0 used; the ledger shows 7"),
    ]


@pytest.mark.django_db
def test_verification_names_a_kind_that_nobody_declares_and_slots_that_do_not_share_their_total() -> None:
    place = a_place(slots=2)
    take(place, "60.00")
    Capacity.objects.filter(slot=0).update(ceiling=Decimal(99))
    capacity._kinds.clear()

    assert [each.row for each in _i22()] == [
        "capacity test_quota",
        "capacity test_quota HARVEST 2030-03-01",
    ]


def _i22() -> list[Finding]:
    return [finding for each, found in verify().items() if each.invariant == "I22" for finding in found]


@pytest.mark.parametrize("slots", [1, 8])
def test_of_five_hundred_takers_as_many_win_as_there_is_room_for(committed_db: None, slots: int) -> None:
    """Unequal amounts, so that the tail must be found across slots; some take and roll back, some give back."""
    place = a_place(slots=slots)
    chance = random.Random(7)
    amounts = [Decimal(chance.randrange(1, 400)) / 100 for _ in range(500)]

    def taker(amount: Decimal, number: int) -> Decimal:
        if number % 10 == 9:
            with transaction.atomic():
                capacity.take(place, amount, total=Decimal(100), at=NOON)
                transaction.set_rollback(True)
            return Decimal(0)
        with transaction.atomic():
            capacity.take(place, amount, total=Decimal(100), at=NOON)
        if number % 10 == 8:
            give_back(place, str(amount))
            return Decimal(0)
        return amount

    answers = at_once([lambda a=a, n=n: taker(a, n) for n, a in enumerate(amounts)], threads=12)  # type: ignore[misc]

    assert {type(answer) for answer in answers} == {Decimal, CapacityExhausted}
    won = sum((answer for answer in answers if isinstance(answer, Decimal)), Decimal(0))
    assert used(place) == won <= 100
    assert sum(ceiling for _, ceiling in slots_of(place)) == 100
    take(place, str(100 - won)) if won < 100 else None
    assert capacity.standing(place) == Standing(limit=Decimal(100), used=Decimal(100))


def test_of_a_hundred_takers_of_one_seat_each_nobody_is_refused_while_seats_are_left(committed_db: None) -> None:
    place = a_place(slots=8, decimals=0)

    answers = at_once([lambda: take(place, "1", total="60")] * 100, threads=12)

    assert [type(answer) for answer in answers].count(CapacityExhausted) == 40
    assert answers.count(None) == 60
    assert used(place) == 60


def test_a_taker_waits_for_one_whose_transaction_is_open_rather_than_be_refused(committed_db: None) -> None:
    """The first has all of it and rolls back: the second is served."""
    place = a_place(slots=2)
    take(place, "1.00")

    def take_all_and_think_better_of_it() -> None:
        with transaction.atomic():
            capacity.take(place, Decimal(99), total=Decimal(100), at=NOON)
            transaction.set_rollback(True)

    with actors(2) as (first, second):
        first.begin(take_all_and_think_better_of_it, stop_after="SET total")
        second.begin(in_a_transaction(lambda: capacity.take(place, Decimal(50), total=Decimal(100), at=NOON)))
        second.waits_for(first)
        first.go_on()
        assert [first.answer(), second.answer()] == [None, None]

    assert used(place) == 51
