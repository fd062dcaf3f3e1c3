"""Reversals by four eyes: one person asks for an entry to be taken back, another decides.

state        from         by
requested    -            `request`
approved     requested    `approve`, by another person: the reversing entry is posted in the same transaction
declined     requested    `decline`, by anyone who may decide, or by who asked

Which entries can be reversed at all is a column of the flow table. The database holds the rule too: an approval by who asked
fails on a CHECK, what was asked cannot be changed, a decision is final, and an approved request names its reversing entry,
whose subject is the request. An approval that the ledger refuses (the money is spent or held, an account is closed or frozen)
changes nothing, and the request stays open.

Locks, in order: the request, then the entry's inline accounts.
"""

from collections.abc import Mapping
from uuid import UUID

from django.db import IntegrityError, transaction

from superapp import clock
from superapp.errors import NotFound
from superapp.models import User
from wallet import ledger
from wallet.errors import (
    AlreadyReversed,
    EntryNotReversible,
    ReversalDecided,
    ReversalStanding,
    SecondPersonNeeded,
)
from wallet.flows import find_entry_kind
from wallet.models import JournalEntry, ReversalRequest

State = ReversalRequest.State

MOVES: Mapping[State, frozenset[State]] = {
    State.REQUESTED: frozenset({State.APPROVED, State.DECLINED}),
    State.APPROVED: frozenset(),
    State.DECLINED: frozenset(),
}
"""Every allowed move; each is an UPDATE that names `requested` as the state it moves from."""

REASON_LENGTH = 500


def request(*, entry_id: UUID, reason: str, by: User) -> ReversalRequest:
    """Asks for an entry to be taken back; nothing moves yet.

    Raises NotFound, EntryNotReversible, AlreadyReversed, ReversalStanding when a request is open, ValueError without a reason
    or with one of more than 500 characters.
    """
    said = reason.strip()
    if not 0 < len(said) <= REASON_LENGTH:
        raise ValueError(f"A reversal is asked for with a reason of at most {REASON_LENGTH} characters.")
    check_reversible(entry_id)
    try:
        with transaction.atomic():
            return ReversalRequest.objects.create(
                entry_id=entry_id, reason=said, requested_by=by, requested_at=clock.now()
            )
    except IntegrityError as fault:
        if getattr(getattr(fault.__cause__, "diag", None), "constraint_name", None) != (
            "one_standing_reversal_request_an_entry"
        ):
            raise
        standing = ReversalRequest.objects.filter(entry_id=entry_id).exclude(state=State.DECLINED).get()
        raise ReversalStanding(state=standing.state) from None


def check_reversible(entry_id: UUID) -> None:
    """Raises NotFound, EntryNotReversible or AlreadyReversed when a request could never be approved."""
    kind = JournalEntry.objects.filter(pk=entry_id).values_list("kind", flat=True).first()
    if kind is None:
        raise NotFound(what="entry")
    declared = find_entry_kind(kind)
    if declared is None or not declared.reversible:
        raise EntryNotReversible(kind=kind)
    if JournalEntry.objects.filter(reverses=entry_id).exists():
        raise AlreadyReversed(entry=entry_id)


def approve(*, request_id: UUID, by: User) -> ReversalRequest:
    """Takes the entry back. Raises NotFound, ReversalDecided, SecondPersonNeeded, and what `ledger.reverse` raises."""
    with transaction.atomic():
        asked = _open(request_id)
        if asked.requested_by_id == by.pk:
            raise SecondPersonNeeded
        reversal = ledger.reverse(asked.entry_id, subject=asked.pk)
        return _decide(asked, State.APPROVED, by=by, reversal_id=reversal.entry_id)


def decline(*, request_id: UUID, by: User) -> ReversalRequest:
    """Ends the request without effect; the entry may be asked about again. Raises NotFound, ReversalDecided."""
    with transaction.atomic():
        return _decide(_open(request_id), State.DECLINED, by=by, reversal_id=None)


def _open(request_id: UUID) -> ReversalRequest:
    """The request, locked: of two who decide at once the second sees what the first decided."""
    asked = ReversalRequest.objects.select_for_update(no_key=True).filter(pk=request_id).first()
    if asked is None:
        raise NotFound(what="reversal request")
    if asked.state != State.REQUESTED:
        raise ReversalDecided(state=asked.state)
    return asked


def _decide(asked: ReversalRequest, state: State, *, by: User, reversal_id: UUID | None) -> ReversalRequest:
    asked.state, asked.decided_by, asked.decided_at, asked.reversal_id = state, by, clock.now(), reversal_id
    moved = ReversalRequest.objects.filter(pk=asked.pk, state=State.REQUESTED).update(
        state=state, decided_by=by, decided_at=asked.decided_at, reversal_id=reversal_id
    )
    if not moved:
        raise ReversalDecided(state=state)
    return asked
