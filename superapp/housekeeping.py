"""What is not kept for ever: delivered events, sign-ups that nobody finished, sessions that have ended.

| what | kept for | counted from |
|---|---|---|
| delivered events of the outbox | policy superapp.outbox.kept_for | when they were written |
| sign-ups whose code was never entered | policy superapp.sign_up.kept_for | when they were begun |
| sessions | SESSION_COOKIE_AGE | sign-in |

Everything else stays: entries and postings because they are the books, idempotency keys because a request that comes again
after years must not move money twice, and a row of some 200 bytes is what that costs.

Housekeeping counts the machine's time, as `created_at` does, not the business's: what a sandbox's clock jumps over has not
aged. It goes in batches of one short transaction each, so that nobody waits for it.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from superapp import policies
from superapp.models import OutboxEvent, User

BATCH = 1_000
"""Rows of one transaction."""

BATCHES = 20
"""Batches of one call and kind; the next call goes on."""

OUTBOX_KEPT_FOR = policies.define(
    "superapp.outbox.kept_for",
    type=policies.DurationSeconds(),
    default=timedelta(days=30),
    doc="How long a delivered event stays in the outbox, in seconds from when it was written.",
)

SIGN_UP_KEPT_FOR = policies.define(
    "superapp.sign_up.kept_for",
    type=policies.DurationSeconds(),
    default=timedelta(days=7),
    doc="How long a sign-up whose code was not entered stays, in seconds; codes live for minutes.",
)

SHORTEST = timedelta(days=1)
"""Nothing younger is removed, whatever the policy says: a sign-up may be under way, an event be looked into."""


def tidy() -> int:
    """Removes what is past its time; how many rows went."""
    return sum(_in_batches(remove) for remove in (_remove_events, _remove_sign_ups, _remove_sessions))


def _in_batches(remove: Callable[[], int]) -> int:
    gone = 0
    for _ in range(BATCHES):
        with transaction.atomic():
            removed = remove()
        gone += removed
        if removed < BATCH:
            break
    return gone


def _remove_events() -> int:
    """By id, which tells when an event was written and is indexed: no index has to be kept for this."""
    before = first_id_of(timezone.now() - max(OUTBOX_KEPT_FOR.now().value, SHORTEST))
    delivered = OutboxEvent.objects.filter(pk__lt=before, delivered_at__isnull=False).order_by("pk")
    return _removed(delivered.filter(pk__in=_locked(delivered)))


def _remove_sign_ups() -> int:
    """Whoever has neither entered a code nor ever signed in owns nothing, and is asked for again after the lock."""
    began_before = timezone.now() - max(SIGN_UP_KEPT_FOR.now().value, SHORTEST)
    unfinished = (
        User.objects.filter(created_at__lt=began_before, phone__isnull=True, last_login__isnull=True, is_staff=False)
        .filter(~Q(pending_phone="") | Q(emailaddress__verified=False))
        .exclude(emailaddress__verified=True)
    )
    locked = list(
        User.objects.filter(pk__in=list(unfinished.values_list("pk", flat=True)[:BATCH]))
        .select_for_update(skip_locked=True)
        .values_list("pk", flat=True)
    )
    return _removed(User.objects.filter(pk__in=locked).filter(pk__in=unfinished.values("pk")))


def _remove_sessions() -> int:
    ended = Session.objects.filter(expire_date__lt=timezone.now()).order_by("expire_date")
    return _removed(ended.filter(pk__in=_locked(ended)))


def _locked(rows: "QuerySet[OutboxEvent] | QuerySet[Session]") -> list[UUID | str]:
    return list(rows.select_for_update(skip_locked=True).values_list("pk", flat=True)[:BATCH])


def _removed(rows: "QuerySet[OutboxEvent] | QuerySet[Session] | QuerySet[User]") -> int:
    _, by_model = rows.delete()
    return by_model.get(rows.model._meta.label, 0)


def first_id_of(instant: datetime) -> UUID:
    """The smallest id that `superapp.ids` can have made in the millisecond of `instant`."""
    return UUID(int=int(instant.timestamp() * 1000) << 80)
