"""Capacity: what must never be exceeded by many at once, such as a fund's daily quota or a bank's advance line.

A kind of capacity is declared by the product that takes it, with the query by which `verify_ledger` counts again what the
ledger shows as used (I22). A place is a kind, a scope and a day, or no day; its rows come into being when it is first taken
from. What the policy allows in total is split over the kind's slots, so that takers seldom meet on a row.

step       what it does                                                              cost
one slot   takes from a slot that has room, beginning at one of the taker's own      a savepoint and one conditional UPDATE
all slots  only when that found no room, or the total has changed: locks them in     one statement more, in the tail of a place
           order, shares what is left out anew, and takes from several if need be

So nobody is refused while there is room anywhere, nor when the amount fits only across slots. `used <= ceiling` is a CHECK
on every row, and the ceilings of a place sum to its total, or to what is used already when the total was lowered below that.

A take is the last lock before the commit: a transaction takes once, or its places in their order. Without a refusal the take
commits or rolls back with the movement it is for. The total is what a policy says at an instant; of two callers with different
ones the later instant wins, so a taker that was on its way while the policy changed does not bring the old one back.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_DOWN, Decimal

from django.db import connection, transaction

from superapp.sql_files import SqlParameters
from wallet.errors import CapacityExhausted, LedgerFault


@dataclass(frozen=True, slots=True)
class CapacityKind:
    """Something of which there is only so much. `used_sql`: a query of (scope, day, used) that counts it in the ledger."""

    code: str
    used_sql: str
    doc: str
    slots: int
    decimals: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where capacity is taken: of which kind, whose (a fund's code), for which business day (None: for good)."""

    kind: CapacityKind
    scope: str = ""
    day: date | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How much there is. `remaining` is never below zero, though a total may be lowered below what is used."""

    limit: Decimal
    used: Decimal

    @property
    def remaining(self) -> Decimal:
        """The most that would be accepted now."""
        return max(self.limit - self.used, Decimal(0))


@dataclass(slots=True)
class _Slot:
    number: int
    total: Decimal
    ceiling: Decimal
    used: Decimal
    ruled_at: datetime


_kinds: dict[str, CapacityKind] = {}


def declare_capacity(code: str, *, used_sql: str, doc: str, slots: int = 1, decimals: int = 2) -> CapacityKind:
    """Adds a kind of capacity. Raises ValueError when the code is taken, or without a slot.

    `decimals`: into what the total is cut when it is shared out, two for an amount of money and none for seats.
    """
    if code in _kinds:
        raise ValueError(f"The capacity {code} is declared twice.")
    if slots < 1:
        raise ValueError("A place has at least one slot.")
    kind = _kinds[code] = CapacityKind(code=code, used_sql=used_sql, doc=doc, slots=slots, decimals=decimals)
    return kind


def capacity_kinds() -> tuple[CapacityKind, ...]:
    """Every declared kind of capacity, by code."""
    return tuple(_kinds[code] for code in sorted(_kinds))


_PLACE = "kind = %(kind)s AND scope = %(scope)s AND day IS NOT DISTINCT FROM %(day)s::date"

# The row found is looked at again under its lock: `used` and `total` are then what its last writer left.
TAKE_SQL = f"""
    UPDATE wallet_capacity c SET used = used + %(amount)s
    WHERE id = (
        SELECT id FROM wallet_capacity
        WHERE {_PLACE} AND total = %(total)s AND used + %(amount)s <= ceiling
        ORDER BY (slot + %(start)s) %% %(slots)s LIMIT 1
    ) AND total = %(total)s AND used + %(amount)s <= ceiling
    RETURNING c.slot
"""

LOCK_SQL = f"""
    SELECT slot, total, ceiling, used, ruled_at FROM wallet_capacity WHERE {_PLACE} ORDER BY slot FOR NO KEY UPDATE
"""

OPEN_SQL = """
    INSERT INTO wallet_capacity (kind, scope, day, slot, total, ceiling, used, ruled_at)
    SELECT %(kind)s, %(scope)s, %(day)s::date, slot, %(total)s, 0, 0, %(at)s FROM generate_series(0, %(slots)s - 1) AS slot
    ON CONFLICT DO NOTHING
"""

SHARE_OUT_SQL = f"""
    UPDATE wallet_capacity c SET total = %(total)s, ruled_at = %(at)s, ceiling = s.ceiling, used = s.used
    FROM unnest(%(numbers)s::int[], %(ceilings)s::numeric[], %(useds)s::numeric[]) AS s (number, ceiling, used)
    WHERE {_PLACE} AND c.slot = s.number
"""


def take(place: Place, amount: Decimal, *, total: Decimal, at: datetime) -> None:
    """Takes `amount` of the place, for which the policy, asked as of the instant `at`, allows `total`.

    Raises CapacityExhausted when there is not so much left, over all slots; nothing is taken then. Raises LedgerFault for
    an amount that is not above zero, TransactionManagementError outside a transaction.
    """
    if amount <= 0:
        raise LedgerFault(f"Of {place.kind.code} {amount} cannot be taken.")
    _in_a_transaction()
    if not _take_of_one_slot(place, amount, total):
        _over_all_slots(
            place, total=total, at=at, change=lambda slots, limit: _take_of_several(place, slots, limit, amount)
        )


def give_back(place: Place, amount: Decimal) -> None:
    """Gives back what a cancelled or returned movement had taken; in the transaction that cancels or returns it.

    Raises LedgerFault when less than that is in use: something is given back twice.
    """
    if amount <= 0:
        raise LedgerFault(f"Of {place.kind.code} {amount} cannot be given back.")
    _in_a_transaction()
    _over_all_slots(place, total=None, at=None, change=lambda slots, _: _give_back_of_several(place, slots, amount))


def rule(place: Place, *, total: Decimal, at: datetime) -> None:
    """Lets a changed policy count at once, before the next one takes. What is used stays used, also above a lowered total."""
    _in_a_transaction()
    _over_all_slots(place, total=total, at=at, change=lambda _slots, _limit: None)


def standing(place: Place) -> Standing | None:
    """The place as it stands, from one snapshot; None while nobody has taken from it."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT max(total), sum(used) FROM wallet_capacity WHERE {_PLACE}", _names(place))
        total, used = cursor.fetchone()
    return None if total is None else Standing(limit=total, used=used)


def _take_of_one_slot(place: Place, amount: Decimal, total: Decimal) -> bool:
    """Of one slot, if one has room. A row it waited for in vain is let go with the savepoint: all slots are locked in order."""
    values: SqlParameters = {
        "amount": amount,
        "total": total,
        "slots": place.kind.slots,
        "start": random.randrange(place.kind.slots),  # noqa: S311  spreads takers, keeps no secret
    }
    savepoint = transaction.savepoint()
    with connection.cursor() as cursor:
        cursor.execute(TAKE_SQL, {**_names(place), **values})
        taken = cursor.fetchone() is not None
    if taken:
        transaction.savepoint_commit(savepoint)
    else:
        transaction.savepoint_rollback(savepoint)
    return taken


def _over_all_slots(
    place: Place, *, total: Decimal | None, at: datetime | None, change: Callable[[list[_Slot], Decimal], None]
) -> None:
    names = _names(place)
    with connection.cursor() as cursor:
        cursor.execute(LOCK_SQL, names)
        slots = [_Slot(*row) for row in cursor.fetchall()]
        if not slots and total is not None:
            cursor.execute(OPEN_SQL, {**names, "total": total, "at": at, "slots": place.kind.slots})
            # Somebody else may have opened it meanwhile: a new statement sees, and locks, whoever's rows they are.
            cursor.execute(LOCK_SQL, names)
            slots = [_Slot(*row) for row in cursor.fetchall()]
        if not slots:
            raise LedgerFault(f"Nothing of {place.kind.code} {place.scope} {place.day or ''} has ever been taken.")
        limit, ruled_at = slots[0].total, slots[0].ruled_at
        if total is not None and at is not None and at >= ruled_at:
            limit, ruled_at = total, at
        change(slots, limit)
        _share_out(slots, limit, step=Decimal(1).scaleb(-place.kind.decimals))
        cursor.execute(
            SHARE_OUT_SQL,
            {
                **names,
                "total": limit,
                "at": ruled_at,
                "numbers": [slot.number for slot in slots],
                "ceilings": [slot.ceiling for slot in slots],
                "useds": [slot.used for slot in slots],
            },
        )


def _take_of_several(place: Place, slots: list[_Slot], limit: Decimal, amount: Decimal) -> None:
    """Shares what is left out anew and takes of the slots in their order."""
    now = Standing(limit=limit, used=sum((slot.used for slot in slots), Decimal(0)))
    if amount > now.remaining:
        raise CapacityExhausted(
            capacity=place.kind.code, scope=place.scope, limit=now.limit, used=now.used, remaining=now.remaining
        )
    _share_out(slots, limit, step=Decimal(1).scaleb(-place.kind.decimals))
    for slot in slots:
        part = min(slot.ceiling - slot.used, amount)
        slot.used += part
        amount -= part


def _give_back_of_several(place: Place, slots: list[_Slot], amount: Decimal) -> None:
    """Of the slots in their order: which one a movement took from is nowhere kept, and does not matter."""
    used = sum((slot.used for slot in slots), Decimal(0))
    if amount > used:
        raise LedgerFault(f"Of {place.kind.code} {place.scope} {used} is used; {amount} cannot be given back.")
    for slot in slots:
        part = min(slot.used, amount)
        slot.used -= part
        amount -= part


def _share_out(slots: list[_Slot], limit: Decimal, *, step: Decimal) -> None:
    """What is left of the limit, in equal parts on top of what each slot has used; the first gets what the parts leave."""
    spare = max(limit - sum((slot.used for slot in slots), Decimal(0)), Decimal(0))
    part = (spare / len(slots)).quantize(step, rounding=ROUND_DOWN)
    for slot in slots:
        slot.ceiling = slot.used + part
    slots[0].ceiling += spare - part * len(slots)


def _names(place: Place) -> SqlParameters:
    return {"kind": place.kind.code, "scope": place.scope, "day": place.day}


def _in_a_transaction() -> None:
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("Capacity is taken inside the transaction of what takes it.")
