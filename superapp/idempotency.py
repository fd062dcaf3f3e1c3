"""Exactly once: a money request under a key its client chose has one outcome, however often it is sent.

| step | transaction | what happens |
|---|---|---|
| look | none | a key that was decided: the same answer or the same refusal again; another request: IdempotencyKeyReused |
| authorise | its own | the PIN is checked and its attempt counted, whatever becomes of the rest |
| decide | one, durable | insert the key (a duplicate waits here), act, commit |
| refused by rule | rolled back, then one more | store code and facts under the key, or tell what a duplicate stored; raise |
| a fault | rolled back | the key stays free: the client may send the same again |

Where there is nothing to authorise there is no look either: inserting the key finds the decided one. A caller that knows its
ids beforehand hands them over by `prepare`: the key's row is then written once. What a refusal rolls back needs no savepoint,
which the many that succeed would pay for.

The key, the state change and the postings are one commit, so an answer that was lost on its way back is found by the
next look. A deadlock or serialisation failure repeats the whole transaction, at most three times; what lasts longer is
`Unavailable`. Waiting for a duplicate is bounded by the session's lock_timeout.

Not stored: malformed input, rate limits, a wrong PIN (errors with `stored_with_key = False`) and dry runs.
"""

import hashlib
import hmac
import json
import logging
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any

from django.db import DatabaseError, InterfaceError, transaction
from djmoney.money import Money

from superapp.counters import RETRIES
from superapp.errors import DomainError, IdempotencyKeyReused, InvalidIdempotencyKey, Unavailable, rebuild
from superapp.faults import deserves_another_try, is_outage, sqlstate_of
from superapp.models import IdempotencyKey
from superapp.prepared import run

log = logging.getLogger(__name__)

TRIES = 4
"""The first and three more, after deadlocks and serialisation failures."""

SECRET_FIELDS = frozenset({"pin", "new_pin", "old_pin", "payment_pin", "password", "new_password"})
"""Never part of the fingerprint: a key must not become an oracle for guessing them."""

_KEY = re.compile(r"[\x20-\x7e]{1,200}", re.ASCII)

_INSERT = """
INSERT INTO superapp_idempotencykey (user_id, operation, key, fingerprint, refusal, answer)
VALUES (%s::uuid, %s::text, %s::text, %s::bytea, %s::text, %s::jsonb)
ON CONFLICT (user_id, operation, key) DO NOTHING
RETURNING id
"""


@dataclass(frozen=True)
class Done:
    """What a request came to: the ids of what was done, and whether it had been done before."""

    answer: dict[str, str]
    replayed: bool


def once(
    *,
    user_id: uuid.UUID,
    operation: str,
    key: str,
    request: Mapping[str, object],
    act: Callable[[], dict[str, str] | None],
    authorise: Callable[[], None] | None = None,
    prepare: Callable[[], dict[str, str]] | None = None,
    dry_run: bool = False,
) -> Done:
    """Does `act` at most once for this person, operation and key, and tells the same outcome ever after.

    `request` is everything that makes it this request, without secrets; amounts as Decimal or Money. `act` runs inside
    the one transaction, may be called again after a deadlock, and returns the ids a client gets. `authorise` runs outside
    of it, and commits what it must remember itself; it is not asked again for a key that was decided. `prepare` runs
    between the two, outside of any transaction, writes and refuses nothing, and tells the ids beforehand; `act` then returns
    None.
    `dry_run` does all of it in a transaction that is rolled back, and stores no key.

    Raises InvalidIdempotencyKey, IdempotencyKeyReused, whatever DomainError `authorise` or `act` refuse with, and
    Unavailable for faults. Must not be called inside a transaction: it would not be durable.
    """
    if not _KEY.fullmatch(key):
        raise InvalidIdempotencyKey()
    print_of_request = fingerprint(operation, request)
    with _faults_as_unavailable():
        if authorise is not None:
            decided = None if dry_run else _decided(user_id, operation, key)
            if decided is not None:
                return _tell_again(decided, print_of_request)
            authorise()
        answer = prepare() if prepare is not None else None
        if dry_run:
            return _again_after_deadlock(lambda: _rehearse(act, answer))
        deciding = _Deciding(user_id, operation, key, print_of_request, act, answer)
        return _again_after_deadlock(deciding.decide)


def fingerprint(operation: str, request: Mapping[str, object]) -> bytes:
    """SHA-256 of the request's canonical form: keys sorted, equal amounts alike however written, secrets left out."""
    canonical = json.dumps(
        [operation, _canonical(request)], ensure_ascii=True, sort_keys=True, separators=(",", ":"), allow_nan=False
    )
    return hashlib.sha256(canonical.encode()).digest()


@dataclass(frozen=True, slots=True)
class _Deciding:
    """One request on its way to its outcome."""

    user_id: uuid.UUID
    operation: str
    key: str
    print_of_request: bytes
    act: Callable[[], dict[str, str] | None]
    answer: dict[str, str] | None

    def decide(self) -> Done:
        """The outcome, committed. Raises the refusal."""
        with transaction.atomic(durable=True):
            key_id = self._insert(refusal="", answer=self.answer or {})
            if key_id is None:
                return self._told_by_duplicate()
            try:
                known = self.act()
            except DomainError as refused:
                if not refused.stored_with_key:
                    raise
                refusal = refused
                transaction.set_rollback(True)
            else:
                if known is not None:
                    IdempotencyKey.objects.filter(pk=key_id).update(answer=known)
                return Done(answer=known or self.answer or {}, replayed=False)
        # Between the two transactions a duplicate may have taken the key: then its outcome is the one outcome.
        if self._insert(refusal=refusal.code, answer={"facts": refusal.facts(), "path": refusal.path}) is None:
            return self._told_by_duplicate()
        raise refusal

    def _insert(self, *, refusal: str, answer: Mapping[str, Any]) -> int | None:
        """The new row's number, or None if the key is there; waits while another transaction is inserting the same."""
        rows = run(
            _INSERT, (self.user_id, self.operation, self.key, self.print_of_request, refusal, json.dumps(answer))
        )
        return int(rows[0][0]) if rows else None

    def _told_by_duplicate(self) -> Done:
        """A duplicate was decided while we waited for its commit; this statement sees it."""
        decided = _decided(self.user_id, self.operation, self.key)
        if decided is None:
            raise Unavailable("a decided key vanished")
        return _tell_again(decided, self.print_of_request)


def _rehearse(act: Callable[[], dict[str, str] | None], answer: dict[str, str] | None) -> Done:
    with transaction.atomic(durable=True):
        known = act()
        transaction.set_rollback(True)
    return Done(answer=known or answer or {}, replayed=False)


def _decided(user_id: uuid.UUID, operation: str, key: str) -> IdempotencyKey | None:
    return IdempotencyKey.objects.filter(user_id=user_id, operation=operation, key=key).first()


def _tell_again(decided: IdempotencyKey, print_of_request: bytes) -> Done:
    if not hmac.compare_digest(bytes(decided.fingerprint), print_of_request):
        raise IdempotencyKeyReused()
    if decided.refusal:
        raise rebuild(decided.refusal, decided.answer["facts"], decided.answer["path"])
    return Done(answer=decided.answer, replayed=True)


def _again_after_deadlock(transact: Callable[[], Done]) -> Done:
    for left in reversed(range(TRIES)):
        try:
            return transact()
        except DatabaseError as fault:
            if left == 0 or not deserves_another_try(fault):
                raise
            RETRIES.inc()
            log.warning("transaction repeated", extra={"sqlstate": sqlstate_of(fault), "tries_left": left})
    raise AssertionError("unreachable")


@contextmanager
def _faults_as_unavailable() -> Iterator[None]:
    """Turns what the database says of itself into `Unavailable`; what it says of our SQL stays as it is."""
    try:
        yield
    except (DatabaseError, InterfaceError) as fault:
        if not is_outage(fault):
            raise
        raise Unavailable(sqlstate_of(fault) or type(fault).__name__) from fault


def _canonical(value: object) -> object:  # noqa: PLR0911  one line per type
    match value:
        case None | bool() | int():
            return value
        case Enum():
            return _canonical(value.value)
        case str():
            return value
        case Decimal():
            return format(value.normalize(), "f")
        case Money():
            return [_canonical(value.amount), value.currency.code]
        case datetime() | date() | time():
            return value.isoformat()
        case uuid.UUID():
            return str(value)
        case Mapping():
            return {str(name): _canonical(part) for name, part in value.items() if name not in SECRET_FIELDS}
        case list() | tuple():
            return [_canonical(part) for part in value]
    raise TypeError(f"A request's fingerprint cannot be taken of {type(value).__name__}.")
