"""The back office's first page: what the clock reads, and what waits, is stuck or wants a look, each with its list."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.timesince import timesince

from funds.models import FundOrder
from payments.models import Transfer
from superapp import clock, runs
from superapp.models import OutboxEvent, Run, User
from wallet.models import BankCallback, TopUp

_O = BankCallback.Outcome

MOST_COUNTED = 1000
"""Counting stops here; then the page says "1000 or more"."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """One line of the page. `wants_a_look`: nothing goes on here by itself."""

    title: str
    count: int
    oldest: datetime | None
    address: str
    wants_a_look: bool

    @property
    def how_many(self) -> str:
        """The count as it is shown."""
        return f"{MOST_COUNTED} or more" if self.count >= MOST_COUNTED else str(self.count)

    @property
    def since(self) -> str:
        """How long the oldest has been waiting, in business time."""
        return timesince(self.oldest, clock.now()) if self.oldest else ""


def what_waits(user: User) -> list[Waiting]:
    """Every line whose list this operator may see."""
    lines: list[tuple[type[Model], Waiting]] = [
        *_in_state(Transfer, "authorised_at", authorised="Transfers in transit", returning="Transfers going back"),
        *_in_state(TopUp, "requested_at", instructed="Top-ups the bank has not answered"),
        *_in_state(FundOrder, "placed_at", placed="Fund orders placed", left="Redemptions to be paid out"),
        (Run, _waiting("Runs under way", runs.unfinished(), "opened_at")),
        *_in_state(Run, "opened_at", look=True, stopped="Runs that a check has stopped"),
        (OutboxEvent, _failing_events()),
        *((BankCallback, _messages(outcome)) for outcome in (_O.UNKNOWN, _O.MISMATCH, _O.CONFLICT, _O.REFUSED)),
    ]
    return [line for model, line in lines if user.has_perm(f"{model._meta.app_label}.view_{model._meta.model_name}")]


def figures(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the page's template shows; named in the settings as Unfold's dashboard callback."""
    return context | {
        "title": "What waits",
        "now": clock.now(),
        "zone": clock.business_zone().key,
        "waiting": what_waits(request.user) if isinstance(request.user, User) else [],
    }


def _in_state(
    model: type[Model], since: str, *, look: bool = False, **titles: str
) -> Iterator[tuple[type[Model], Waiting]]:
    for state, title in titles.items():
        rows = model._default_manager.filter(state=state)
        yield model, _waiting(title, rows, since, look=look, state__exact=state)


def _failing_events() -> Waiting:
    rows = OutboxEvent.objects.filter(delivered_at__isnull=True, attempts__gt=0)
    return _waiting("Outbox events that fail", rows, "available_at", look=True, delivered_at__isempty=1)


def _messages(outcome: BankCallback.Outcome) -> Waiting:
    rows = BankCallback.objects.filter(outcome=outcome)
    title = f"Bank messages: {outcome.label[:1].lower()}{outcome.label[1:]}"
    return _waiting(title, rows, "received_at", look=True, outcome__exact=outcome.value)


def _waiting(title: str, rows: QuerySet[Any], since: str, *, look: bool = False, **filters: object) -> Waiting:
    oldest = list(rows.order_by(since).values_list(since, flat=True)[:MOST_COUNTED])
    address = reverse(f"admin:{rows.model._meta.app_label}_{rows.model._meta.model_name}_changelist")
    return Waiting(
        title=title,
        count=len(oldest),
        oldest=oldest[0] if oldest else None,
        address=f"{address}?{urlencode(filters)}" if filters else address,
        wants_a_look=look and bool(oldest),
    )
