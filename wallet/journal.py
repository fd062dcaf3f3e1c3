"""The journal as operators and auditors read it: the postings of an account or of an entry, a page at a time.

A page is found by its place in the posting's own key, (account, sequence), never by counting from the start: page 10,000
costs what page 1 costs. On an inline account a larger sequence is later; on a folded one it nearly is (sequences are drawn
before the commit), which is why balances are never read from this order.

A posting is shown whatever became of what it names: no foreign key holds its entry, account and asset, and a row that a hand
has taken away is exactly what somebody looks for here. So none of them is joined; each is read once for all of a page.
"""

from dataclasses import dataclass
from uuid import UUID

from wallet.models import Account, Asset, JournalEntry, Posting

PAGE = 50
"""Postings on a page."""


@dataclass(frozen=True, slots=True)
class JournalPage:
    """Some postings, with the place from which the next page goes on; None when this is the last one."""

    postings: list[Posting]
    next_place: str | None


def postings_of_account(account_id: UUID, *, before: int | None = None, limit: int = PAGE) -> JournalPage:
    """The account's postings with their entries, newest first; from below the sequence `before`, if given."""
    found = Posting.objects.filter(account_id=account_id).prefetch_related("entry").order_by("-sequence")
    if before is not None:
        found = found.filter(sequence__lt=before)
    rows = list(found[: limit + 1])
    more = len(rows) > limit
    return JournalPage(postings=rows[:limit], next_place=str(rows[limit - 1].sequence) if more else None)


def postings_of_entry(entry_id: UUID, *, after: tuple[UUID, int] | None = None, limit: int = PAGE) -> JournalPage:
    """The entry's postings with their accounts and owners, in the order of their keys; from beyond `after`, if given.

    An income batch is one entry of thousands of postings, so this is paged too.
    """
    found = (
        Posting.objects.filter(entry_id=entry_id)
        .prefetch_related("account__owner", "asset")
        .order_by("account_id", "sequence")
    )
    if after is not None:
        found = found.filter(pk__gt=after)
    rows = list(found[: limit + 1])
    more = len(rows) > limit
    last = rows[limit - 1] if more else None
    return JournalPage(postings=rows[:limit], next_place=f"{last.account_id}.{last.sequence}" if last else None)


def entry_of(posting: Posting) -> JournalEntry | None:
    """The posting's entry; None when there is no such row."""
    try:
        return posting.entry
    except JournalEntry.DoesNotExist:
        return None


def account_of(posting: Posting) -> Account | None:
    """The posting's account; None when there is no such row."""
    try:
        return posting.account
    except Account.DoesNotExist:
        return None


def asset_of(posting: Posting) -> Asset | None:
    """The posting's asset; None when there is no such row."""
    try:
        return posting.asset
    except Asset.DoesNotExist:
        return None


def read_entry_place(text: str) -> tuple[UUID, int] | None:
    """The place that `postings_of_entry` named, or None for any other text."""
    account, _, sequence = text.partition(".")
    try:
        return UUID(account), int(sequence)
    except ValueError:
        return None
