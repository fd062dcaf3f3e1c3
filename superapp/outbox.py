"""The outbox: what must be told outside this database, written in the same commit as what it tells of.

Only what has no posting goes here (a state changed, a webhook is due): postings are themselves the log of money. Each
event is handed to its topic's handler by any worker, in a transaction of its own, **at least once**: a handler must take
a repeat for what it is. A failed delivery is tried again, ever later, and never given up: also one that took its
connection with it, or that a worker's time limit ended (which then ends the task as well). Deliveries find what is due by
query, so an event that commits late is found late, not skipped. Readers that page through events order by (tx, id) and
stop below the snapshot's xmin. What was delivered is kept for a while (`superapp.housekeeping`).
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from billiard.exceptions import SoftTimeLimitExceeded
from django.db import DatabaseError, InterfaceError, transaction
from django.db.models import F, QuerySet

from superapp import clock, doorbell
from superapp.counters import DELIVERIES
from superapp.models import OutboxEvent

log = logging.getLogger(__name__)

Handler = Callable[[dict[str, Any]], None]

DELIVER_TASK = "superapp.deliver_outbox"

FIRST_RETRY_SECONDS = 1
LONGEST_RETRY_SECONDS = 15 * 60

_handlers: dict[str, Handler] = {}


def handles(topic: str) -> Callable[[Handler], Handler]:
    """Registers the one function that delivers a topic's events. It gets the payload and may get it more than once."""

    def register(handler: Handler) -> Handler:
        known = _handlers.get(topic)
        if known is not None and (known.__module__, known.__qualname__) != (handler.__module__, handler.__qualname__):
            raise ValueError(f"The topic {topic} is handled by {known.__module__}.{known.__qualname__} already.")
        _handlers[topic] = handler
        return handler

    return register


def topics() -> tuple[str, ...]:
    """Every topic that has a handler."""
    return tuple(sorted(_handlers))


def emit(topic: str, payload: Mapping[str, Any], available_at: datetime | None = None) -> OutboxEvent:
    """Writes an event into the caller's transaction, to be delivered after its commit and not before `available_at`.

    Raises LookupError for a topic without a handler and TransactionManagementError outside of a transaction: an event
    that could be there without what it tells of, or the other way round, would be a lie.
    """
    if topic not in _handlers:
        raise LookupError(f"No handler is registered for the topic {topic}; nobody would ever hear of it.")
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("An outbox event belongs into the transaction it tells of.")
    event = OutboxEvent.objects.create(
        topic=topic,
        payload=dict(payload),
        available_at=available_at or clock.now(),
        request_id=str(structlog.contextvars.get_contextvars().get("request_id", ""))[:64],
    )
    if available_at is None:
        doorbell.ring(DELIVER_TASK)
    return event


def deliver_due(limit: int = 100) -> int:
    """Delivers up to `limit` events that are due, oldest first, each in its own transaction. Says how many it tried.

    Workers share the work: an event that another one holds is passed over.
    """
    tried = 0
    while tried < limit and _deliver_next():
        tried += 1
    return tried


def retry_delay(attempts: int) -> timedelta:
    """How long after the n-th failed attempt the next one comes: 1 s, 2 s, 4 s ... 15 minutes."""
    return timedelta(seconds=min(FIRST_RETRY_SECONDS * 2 ** min(attempts - 1, 30), LONGEST_RETRY_SECONDS))


def _deliver_next() -> bool:
    event: OutboxEvent | None = None
    fault: Exception | None
    try:
        with transaction.atomic():
            event = _claim()
            if event is None:
                return False
            fault = _hand_over(event)
            if fault is None:
                _still_due(event).update(attempts=F("attempts") + 1, last_error="", delivered_at=clock.now())
            else:
                _put_off(event, fault)
    except (DatabaseError, InterfaceError) as lost:
        if event is None:
            raise
        # The handler took the connection or the transaction with it: what became of the event is written by a new one.
        fault = lost
        with transaction.atomic():
            _put_off(event, lost)
    DELIVERIES.labels(event.topic if event.topic in _handlers else "unknown", "failed" if fault else "delivered").inc()
    if isinstance(fault, SoftTimeLimitExceeded):
        raise fault
    return True


def _claim() -> OutboxEvent | None:
    """The oldest event that is due and that no other worker holds; locked until the transaction ends."""
    return (
        OutboxEvent.objects.filter(delivered_at__isnull=True, available_at__lte=clock.now())
        .order_by("available_at", "id")
        .select_for_update(skip_locked=True)
        .first()
    )


def _hand_over(event: OutboxEvent) -> Exception | None:
    """Calls the topic's handler; what it raised, if anything. Its log lines carry the id of the request behind the event."""
    request = {"request_id": event.request_id} if event.request_id else {}
    with structlog.contextvars.bound_contextvars(event_id=str(event.pk), **request):
        try:
            with transaction.atomic():  # what a handler wrote before it failed does not stay
                _handlers[event.topic](event.payload)
        except Exception as fault:  # a handler may fail in any way: it is counted, shown, tried again
            log.warning(
                "outbox delivery failed",
                extra={"topic": event.topic, "attempts": event.attempts + 1},
                exc_info=True,
            )
            return fault
    return None


def _put_off(event: OutboxEvent, fault: Exception) -> None:
    _still_due(event).update(
        attempts=F("attempts") + 1,
        last_error=f"{type(fault).__name__}: {fault}"[:200],
        available_at=clock.now() + retry_delay(event.attempts + 1),
    )


def _still_due(event: OutboxEvent) -> QuerySet[OutboxEvent]:
    """The event's row, as it was claimed: nobody counts a try twice, nor takes back what another has delivered since."""
    return OutboxEvent.objects.filter(pk=event.pk, attempts=event.attempts, delivered_at__isnull=True)
