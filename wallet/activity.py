"""Activity: what happened to a person's money, newest first, read from the postings themselves. There is no second log.

A page costs what it shows: one backward scan of (account, sequence) per account of the person, each at most a page long,
merged by the time the postings were recorded. A position in the list is a vector, one sequence per account, so pages
neither skip nor repeat while new postings arrive: an account's sequences are gapless and handed out under its lock.

What a posting was about is told by the app that owns its business row, through `tells_of`: a set of subjects at a time.
"""

import base64
import binascii
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from wallet.flows import EntryKind
from wallet.models import Account
from wallet.wallets import accounts_of


@dataclass(frozen=True, slots=True)
class Story:
    """What a product knows of a posting's subject, as this viewer may see it.

    `subject_type` names the business row in the API's words (Transfer, TopUp); `counterparty_id` the other person.
    """

    subject_type: str
    counterparty_id: UUID | None = None
    note: str = ""


NO_STORY = Story(subject_type="")

Teller = Callable[[UUID, Sequence[UUID]], Mapping[UUID, Story]]
"""From the viewer's id and some subjects to their stories; one query for all of them."""

_tellers: dict[str, Teller] = {}


def tells_of(*kinds: EntryKind) -> Callable[[Teller], Teller]:
    """Registers what an app tells of the subjects of its entry kinds. Raises ValueError when a kind is told of already."""

    def register(teller: Teller) -> Teller:
        for kind in kinds:
            if kind.code in _tellers:
                raise ValueError(f"Two modules tell of {kind.code}.")
            _tellers[kind.code] = teller
        return teller

    return register


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the list: for each account the lowest sequence that is not older than this place.

    `at` is the account whose posting of that sequence stands at the place itself.
    """

    sequences: Mapping[UUID, int]
    at: UUID | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One posting on an account of the viewer: `amount` is signed, positive raises what the viewer has."""

    account: Account
    sequence: int
    entry_id: UUID
    kind: str
    amount: Decimal
    balance_after: Decimal
    subject: UUID
    effective_at: datetime
    recorded_at: datetime
    position: Position
    story: Story = NO_STORY


@dataclass(frozen=True, slots=True)
class Page:
    """Items, newest first, and whether there are more in the direction in which the page was read."""

    items: list[Item]
    more: bool


_NEWEST_FIRST = """
SELECT p.*, e.kind FROM (
    SELECT p.account_id, p.sequence, p.entry_id, p.amount, p.balance_after, p.subject, p.effective_at, p.recorded_at
      FROM unnest(%(accounts)s::uuid[], %(bounds)s::bigint[]) AS c (account_id, bound)
     CROSS JOIN LATERAL (
        SELECT * FROM wallet_posting q WHERE q.account_id = c.account_id AND q.sequence < c.bound
         ORDER BY q.sequence DESC LIMIT %(rows)s) p
     ORDER BY p.recorded_at DESC, p.account_id DESC, p.sequence DESC LIMIT %(rows)s) p
  LEFT JOIN wallet_journalentry e ON e.id = p.entry_id
 ORDER BY p.recorded_at DESC, p.account_id DESC, p.sequence DESC
"""

_OLDEST_FIRST = """
SELECT p.*, e.kind FROM (
    SELECT p.account_id, p.sequence, p.entry_id, p.amount, p.balance_after, p.subject, p.effective_at, p.recorded_at
      FROM unnest(%(accounts)s::uuid[], %(bounds)s::bigint[]) AS c (account_id, bound)
     CROSS JOIN LATERAL (
        SELECT * FROM wallet_posting q WHERE q.account_id = c.account_id AND q.sequence >= c.bound
         ORDER BY q.sequence LIMIT %(rows)s) p
     ORDER BY p.recorded_at, p.account_id, p.sequence LIMIT %(rows)s) p
  LEFT JOIN wallet_journalentry e ON e.id = p.entry_id
 ORDER BY p.recorded_at, p.account_id, p.sequence
"""


def older(*, owner_id: UUID, limit: int, than: Position | None = None) -> Page:
    """Up to `limit` items that are older than the position, the newest of them first; from the newest without one."""
    accounts = _accounts(owner_id)
    if than is None:
        bounds = {account.id: account.last_sequence + 1 for account in accounts.values()}
    else:
        # an account the position does not know was opened later: all of its postings are newer
        bounds = {account_id: than.sequences.get(account_id, 0) for account_id in accounts}
    rows = _read(_NEWEST_FIRST, bounds, limit + 1)
    items = []
    for row in rows[:limit]:
        bounds[row[0]] = row[1]
        items.append(_item(accounts[row[0]], row, Position(dict(bounds), at=row[0])))
    return Page(items=_with_stories(owner_id, items), more=len(rows) > limit)


def newer(*, owner_id: UUID, limit: int, than: Position | None = None) -> Page:
    """Up to `limit` items that are newer than the position, those next to it, newest first; the oldest without one."""
    accounts = _accounts(owner_id)
    bounds = dict.fromkeys(accounts, 1)
    if than is not None:
        for account_id in accounts:
            bounds[account_id] = than.sequences.get(account_id, 1) + (1 if account_id == than.at else 0)
    rows = _read(_OLDEST_FIRST, bounds, limit + 1)
    items = []
    for row in rows[:limit]:
        items.append(_item(accounts[row[0]], row, Position(dict(bounds), at=row[0])))
        bounds[row[0]] = row[1] + 1
    items.reverse()
    return Page(items=_with_stories(owner_id, items), more=len(rows) > limit)


def write_position(position: Position) -> str:
    """The position as an opaque text."""
    ordered = sorted(position.sequences.items())
    at = next((place for place, (account_id, _) in enumerate(ordered) if account_id == position.at), _NOWHERE)
    packed = struct.pack(">H", at) + b"".join(account_id.bytes + _packed(bound) for account_id, bound in ordered)
    return base64.urlsafe_b64encode(packed).decode()


def read_position(text: str) -> Position:
    """The position that `write_position` wrote. Raises ValueError for any other text.

    It grants nothing: only the reader's own accounts are looked up in it.
    """
    try:
        packed = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise ValueError("not a position") from error
    if len(packed) % _STRIDE != 2:
        raise ValueError("not a position")
    (at,) = struct.unpack(">H", packed[:2])
    pairs = [
        (UUID(bytes=packed[start : start + 16]), int.from_bytes(packed[start + 16 : start + _STRIDE]))
        for start in range(2, len(packed), _STRIDE)
    ]
    if at != _NOWHERE and at >= len(pairs):
        raise ValueError("not a position")
    return Position(dict(pairs), at=None if at == _NOWHERE else pairs[at][0])


_NOWHERE = 0xFFFF
_STRIDE = 16 + 6  # an account's id and a sequence of 48 bits


def _packed(sequence: int) -> bytes:
    return sequence.to_bytes(6)


def _accounts(owner_id: UUID) -> dict[UUID, Account]:
    return {account.id: account for account in accounts_of(owner_id)}


def _read(sql: str, bounds: Mapping[UUID, int], rows: int) -> list[tuple[Any, ...]]:
    if not bounds:
        return []
    with connection.cursor() as cursor:
        cursor.execute(sql, {"accounts": list(bounds), "bounds": list(bounds.values()), "rows": rows})
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


def _item(account: Account, row: Sequence[Any], position: Position) -> Item:
    _, sequence, entry_id, amount, balance_after, subject, effective_at, recorded_at, kind = row
    return Item(
        account=account,
        sequence=sequence,
        entry_id=entry_id,
        kind=kind,
        amount=amount,
        balance_after=balance_after,
        subject=subject,
        effective_at=effective_at,
        recorded_at=recorded_at,
        position=position,
    )


def _with_stories(viewer_id: UUID, items: Iterable[Item]) -> list[Item]:
    found = list(items)
    subjects: dict[Teller, list[UUID]] = {}
    for item in found:
        teller = _tellers.get(item.kind)
        if teller is not None:
            subjects.setdefault(teller, []).append(item.subject)
    stories: dict[UUID, Story] = {}
    for teller, asked in subjects.items():
        stories.update(teller(viewer_id, list(dict.fromkeys(asked))))
    return [replace(item, story=stories.get(item.subject, NO_STORY)) for item in found]
