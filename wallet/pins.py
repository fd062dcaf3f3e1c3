"""The payment PIN: six digits without which no money leaves a wallet.

A six-digit number is protected by a key and a lock-out, not by the cost of its hash: what is stored is argon2id (small
cost) over an HMAC-SHA256 whose key is kept outside the database, and tries are counted.

A look at a PIN, in three commits:
    count   one more try, by a conditional UPDATE that refuses while locked; the last try that is allowed locks at once
    look    compare, without a transaction: whatever happens from here on, the try is counted
    clear   a right PIN sets the count back to zero; a wrong one leaves it
One person's looks stand in line behind an advisory lock, so that payments sent together with the right PIN do not count
against each other; safety does not depend on it but on the count alone.
"""

import hashlib
import hmac
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

import argon2
from argon2.exceptions import InvalidHashError, VerificationError
from django.conf import settings
from django.db import DatabaseError, connection, transaction

from superapp import clock
from wallet.errors import PinAlreadySet, PinLocked, PinNotSet, PinRequired, PinWeak, PinWrong
from wallet.models import PaymentPin
from wallet.policies import PIN_LOCKOUT, PIN_TRIES

DIGITS = 6

_hasher = argon2.PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)

_ADVISORY_CLASS = 0x50494E  # "PIN", the first half of the advisory lock's name

_COUNT_A_TRY = """
UPDATE wallet_paymentpin
   SET tries = CASE WHEN locked_until IS NULL THEN tries + 1 ELSE 1 END,
       locked_until = CASE WHEN CASE WHEN locked_until IS NULL THEN tries + 1 ELSE 1 END >= %(allowed)s
                           THEN %(locked_until)s::timestamptz END
 WHERE user_id = %(user)s AND (locked_until IS NULL OR locked_until <= %(now)s)
RETURNING hash, tries
"""


def has_pin(user_id: UUID) -> bool:
    """Whether the person has set a PIN."""
    return PaymentPin.objects.filter(user_id=user_id).exists()


def set_pin(*, user_id: UUID, pin: str) -> None:
    """Sets the first PIN of a person. Raises PinWeak, PinAlreadySet."""
    refuse_weak(pin)
    row = PaymentPin(user_id=user_id, hash=_hash(user_id, pin), changed_at=clock.now())
    with transaction.atomic():
        PaymentPin.objects.bulk_create([row], ignore_conflicts=True)
        if PaymentPin.objects.values_list("hash", flat=True).get(user_id=user_id) != row.hash:
            raise PinAlreadySet


def change_pin(*, user_id: UUID, current_pin: str, new_pin: str) -> None:
    """Replaces the PIN; the current one is looked at as for a payment. Raises PinWeak and whatever `verify` raises."""
    refuse_weak(new_pin)
    verify(user_id=user_id, pin=current_pin)
    PaymentPin.objects.filter(user_id=user_id).update(hash=_hash(user_id, new_pin), changed_at=clock.now())


def verify(*, user_id: UUID, pin: str | None) -> None:
    """Takes one look at the PIN; returns only when it is right.

    Must not run inside a caller's transaction: a try that could be rolled back is no try.
    Raises PinNotSet, PinRequired (neither counts), PinWrong, PinLocked.
    """
    if not pin:
        if not has_pin(user_id):
            raise PinNotSet
        raise PinRequired
    with _in_line(user_id):
        allowed = PIN_TRIES.now().value
        hash_, tries = _count_a_try(user_id, allowed=allowed)
        if not _is_right(user_id, pin, hash_):
            raise PinWrong(tries_left=allowed - tries)
        PaymentPin.objects.filter(user_id=user_id).update(tries=0, locked_until=None)


def refuse_weak(pin: str) -> None:
    """Raises PinWeak for what is not six digits, and for what a thief tries first."""
    if len(pin) != DIGITS or not (pin.isascii() and pin.isdigit()):
        raise PinWeak(reason="it must be six digits")
    if any(pin == pin[:period] * (DIGITS // period) for period in (1, 2, 3)):
        raise PinWeak(reason="it repeats itself")
    if _is_run(pin) or (pin[0::2] == pin[1::2] and _is_run(pin[0::2])):
        raise PinWeak(reason="its digits only count up or down")


def _is_run(digits: str) -> bool:
    steps = {(int(after) - int(before)) % 10 for before, after in itertools.pairwise(digits)}
    return steps in ({1}, {9})


def _count_a_try(user_id: UUID, *, allowed: int) -> tuple[str, int]:
    now = clock.now()
    locked_until = now + PIN_LOCKOUT.now().value
    # durable: inside another transaction the count could be undone, and a thief would have looks for free
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute(_COUNT_A_TRY, {"user": user_id, "allowed": allowed, "now": now, "locked_until": locked_until})
        counted = cursor.fetchone()
    if counted is None:
        raise _why_no_look(user_id)
    return counted[0], counted[1]


def _why_no_look(user_id: UUID) -> PinNotSet | PinLocked:
    row: datetime | None
    for row in PaymentPin.objects.filter(user_id=user_id).values_list("locked_until", flat=True):
        return PinLocked(until=row or clock.now())
    return PinNotSet()


@contextmanager
def _in_line(user_id: UUID) -> Iterator[None]:
    name = (_ADVISORY_CLASS << 32) | (user_id.int & 0xFFFFFFFF)
    _of_the_line("SELECT pg_advisory_lock(%s)", name)
    try:
        yield
    finally:
        _of_the_line("SELECT pg_advisory_unlock(%s)", name)


def _of_the_line(statement: str, name: int) -> None:
    """Steps into the line or out of it. The place belongs to the session and outlives its transactions: where a fault
    leaves it open whether it was taken or given up, the session is ended, or its next user would keep it for ever.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement, [name])
    except DatabaseError:
        connection.close()
        raise


def _keyed(user_id: UUID, pin: str) -> str:
    """The person's id is part of it: a hash copied to another person's row opens nothing."""
    return hmac.new(settings.PAYMENT_PIN_KEY.encode(), user_id.bytes + pin.encode(), hashlib.sha256).hexdigest()


def _hash(user_id: UUID, pin: str) -> str:
    return _hasher.hash(_keyed(user_id, pin))


def _is_right(user_id: UUID, pin: str, hash_: str) -> bool:
    try:
        return _hasher.verify(hash_, _keyed(user_id, pin))
    except (VerificationError, InvalidHashError):
        return False
