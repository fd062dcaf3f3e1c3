"""W11: the payment PIN, its tries and its lock."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from superapp import clock
from tests.factories import PIN, a_person
from tests.many import at_once
from wallet import pins
from wallet.errors import PinAlreadySet, PinLocked, PinNotSet, PinRequired, PinWeak, PinWrong
from wallet.models import PaymentPin

NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
WRONG = "864297"


@contextmanager
def at(instant: datetime) -> Iterator[None]:
    with clock.stopped_at(instant):
        yield


@pytest.mark.parametrize(
    "weak",
    [
        "",
        "12345",
        "1234567",
        "12345a",
        "１３５２４６",
        "111111",
        "121212",
        "123123",
        "123456",
        "890123",
        "654321",
        "112233",
    ],
)
def test_a_pin_that_is_guessed_first_is_refused(db: None, weak: str) -> None:
    person = a_person()
    with pytest.raises(PinWeak):
        pins.set_pin(user_id=person.pk, pin=weak)
    assert not PaymentPin.objects.exists()


def test_a_pin_is_set_once_and_then_changed_only_with_the_current_one(db: None) -> None:
    person = a_person()
    pins.set_pin(user_id=person.pk, pin=PIN)
    with pytest.raises(PinAlreadySet):
        pins.set_pin(user_id=person.pk, pin=WRONG)
    with pytest.raises(PinWrong):
        pins.change_pin(user_id=person.pk, current_pin=WRONG, new_pin="975310")
    pins.verify(user_id=person.pk, pin=PIN)
    pins.change_pin(user_id=person.pk, current_pin=PIN, new_pin="975310")
    pins.verify(user_id=person.pk, pin="975310")
    with pytest.raises(PinWrong):
        pins.verify(user_id=person.pk, pin=PIN)


def test_without_a_pin_nothing_is_tried_or_counted(db: None) -> None:
    person = a_person()
    with pytest.raises(PinNotSet):
        pins.verify(user_id=person.pk, pin=None)
    with pytest.raises(PinNotSet):
        pins.verify(user_id=person.pk, pin=PIN)
    pins.set_pin(user_id=person.pk, pin=PIN)
    with pytest.raises(PinRequired):
        pins.verify(user_id=person.pk, pin=None)
    assert PaymentPin.objects.get().tries == 0


def test_five_wrong_tries_lock_even_the_right_pin_until_exactly_three_hours_later(db: None) -> None:
    person = a_person()
    left = []
    with at(NOON):
        pins.set_pin(user_id=person.pk, pin=PIN)
        for _ in range(5):
            with pytest.raises(PinWrong) as wrong:
                pins.verify(user_id=person.pk, pin=WRONG)
            left.append(wrong.value.tries_left)
        with pytest.raises(PinLocked) as locked:
            pins.verify(user_id=person.pk, pin=PIN)
    assert left == [4, 3, 2, 1, 0]
    assert locked.value.until == NOON + timedelta(hours=3)
    with at(NOON + timedelta(hours=3) - timedelta(microseconds=1)), pytest.raises(PinLocked):
        pins.verify(user_id=person.pk, pin=PIN)
    with at(NOON + timedelta(hours=3)):
        pins.verify(user_id=person.pk, pin=PIN)


def test_after_a_lock_has_ended_the_count_begins_anew(db: None) -> None:
    person = a_person()
    with at(NOON):
        pins.set_pin(user_id=person.pk, pin=PIN)
        for _ in range(5):
            with pytest.raises(PinWrong):
                pins.verify(user_id=person.pk, pin=WRONG)
    with at(NOON + timedelta(hours=3)), pytest.raises(PinWrong) as wrong:
        pins.verify(user_id=person.pk, pin=WRONG)
    assert wrong.value.tries_left == 4


def test_the_right_pin_clears_the_count(db: None) -> None:
    person = a_person()
    pins.set_pin(user_id=person.pk, pin=PIN)
    for _ in range(3):
        for _ in range(4):
            with pytest.raises(PinWrong):
                pins.verify(user_id=person.pk, pin=WRONG)
        pins.verify(user_id=person.pk, pin=PIN)


def test_a_try_counts_even_when_the_look_dies(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    person = a_person()
    pins.set_pin(user_id=person.pk, pin=PIN)

    def dies(*_: object) -> bool:
        raise MemoryError

    monkeypatch.setattr(pins, "_is_right", dies)
    with pytest.raises(MemoryError):
        pins.verify(user_id=person.pk, pin=PIN)
    assert PaymentPin.objects.get().tries == 1


def test_a_hash_copied_to_another_person_opens_nothing(db: None) -> None:
    thief, victim = a_person(), a_person()
    pins.set_pin(user_id=thief.pk, pin=PIN)
    pins.set_pin(user_id=victim.pk, pin="975310")
    PaymentPin.objects.filter(user=victim).update(hash=PaymentPin.objects.get(user=thief).hash)
    with pytest.raises(PinWrong):
        pins.verify(user_id=victim.pk, pin=PIN)


def test_a_pin_is_found_neither_in_the_database_nor_in_the_log(db: None, caplog: pytest.LogCaptureFixture) -> None:
    person = a_person()
    with caplog.at_level(logging.DEBUG):
        pins.set_pin(user_id=person.pk, pin=PIN)
        pins.verify(user_id=person.pk, pin=PIN)
    row = PaymentPin.objects.get()
    assert row.hash.startswith("$argon2id$v=19$m=1024,t=1,p=1$")
    assert PIN not in row.hash
    assert PIN not in caplog.text


def test_a_try_cannot_be_made_inside_a_transaction_that_may_take_it_back(committed_db: object) -> None:
    from django.db import transaction

    person = a_person()
    pins.set_pin(user_id=person.pk, pin=PIN)
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        pins.verify(user_id=person.pk, pin=PIN)


@pytest.mark.parametrize("in_line", [True, False], ids=["in line", "all at once"])
def test_a_hundred_guesses_at_once_get_no_more_than_five_looks(
    committed_db: object, monkeypatch: pytest.MonkeyPatch, in_line: bool
) -> None:
    person = a_person()
    pins.set_pin(user_id=person.pk, pin=PIN)
    looks: list[str] = []
    is_right = pins._is_right

    def look(user_id: object, pin: str, hash_: str) -> bool:
        looks.append(pin)
        return is_right(person.pk, pin, hash_)

    monkeypatch.setattr(pins, "_is_right", look)
    if not in_line:
        monkeypatch.setattr(pins, "_in_line", lambda _: nullcontext())
    guesses = [f"{number:06d}" for number in range(400_000, 400_100)]
    answers = at_once([partial(pins.verify, user_id=person.pk, pin=guess) for guess in guesses], threads=20)
    assert len(looks) == 5
    assert sorted(type(answer).__name__ for answer in answers) == ["PinLocked"] * 95 + ["PinWrong"] * 5


def test_the_right_pin_sent_many_times_at_once_never_locks_its_owner_out(committed_db: object) -> None:
    person = a_person()
    pins.set_pin(user_id=person.pk, pin=PIN)
    answers = at_once([lambda: pins.verify(user_id=person.pk, pin=PIN)] * 30, threads=15)
    assert answers == [None] * 30
    assert PaymentPin.objects.get().tries == 0
