"""A to B with B to A and rings of three from many connections at once: no deadlock may reach a caller.

    python -m tests.concurrency.cycles --seconds 60 --connections 64

Two ways, side by side, in one database of its own: `send_money` with settlement workers beside it, and direct entries between
two inline accounts, through `post` and through `post_set`, each of which locks two rows of the same ring as its neighbours.
Everyone is busy with 3 + 2 accounts, so that nearly every call meets another one. What a caller sees is counted by the code of
its answer; what the server had to break up is read from its own statistics.
"""

import argparse
import itertools
import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from django.db import DatabaseError, connection, connections, transaction

PATIENCE_SECONDS = 60
WORKERS = 2
"""Settlement workers beside the senders."""

START = "10000.00"


@dataclass
class Tally:
    """What came of all calls."""

    seconds: float = 0
    calls: Counter[str] = field(default_factory=Counter)
    """By way: sent, settled, posted, posted in sets."""
    faults: Counter[str] = field(default_factory=Counter)
    """What callers saw instead of an answer."""
    deadlocks: int = 0
    """Deadlocks that the server broke up, whether or not a caller saw them."""

    def report(self) -> dict[str, Any]:
        """For the last line of the output."""
        return {
            "seconds": round(self.seconds, 1),
            "calls": dict(self.calls),
            "rate": round(sum(self.calls.values()) / self.seconds),
            "faults": dict(self.faults),
            "deadlocks": self.deadlocks,
        }


def run(*, seconds: float, connections_count: int) -> Tally:
    """Moves money to and fro on the default database for so long. Raises nothing of what callers saw: it is in the tally."""
    from tests.factories import a_payer
    from tests.wallet.ledger_world import a_ledger

    senders = [a_payer(START) for _ in range(3)]
    world = a_ledger(balances=[START] * 5)
    rings = [world.wallets[:2], world.wallets[2:]]
    ways = [_sending(senders), _posting(rings), _posting_sets(rings)]
    jobs = [*itertools.islice(itertools.cycle(ways), connections_count - WORKERS), *[_settling()] * WORKERS]
    tally, before = Tally(), _deadlocks()
    _at_once(jobs, seconds, tally)
    tally.deadlocks = _deadlocks() - before
    return tally


Way = tuple[str, Callable[[random.Random], object]]


def _sending(people: Sequence[Any]) -> Way:
    from payments import transfers
    from payments.payees import Payee
    from tests.factories import PIN

    def send(dice: random.Random) -> object:
        sender, recipient = dice.sample(people, 2)
        return transfers.send_money(
            sender_id=sender.pk,
            to=Payee(id=recipient.pk),
            amount=Decimal("0.01"),
            currency="CNY",
            note="",
            pin=PIN,
            key=str(uuid4()),
        )

    return "sent", send


def _settling() -> Way:
    from payments import settlement

    def settle(_: random.Random) -> object:
        return settlement.settle_due(limit=200)

    return "settled", settle


def _posting(rings: Sequence[Sequence[UUID]]) -> Way:
    from superapp.ids import uuid7
    from tests.own_flows import MOVED
    from wallet.ledger import Leg, Plan, post

    def move(dice: random.Random) -> object:
        giver, taker = dice.sample(dice.choice(rings), 2)
        legs = [Leg(giver, Decimal("-0.01")), Leg(taker, Decimal("0.01"))]
        with transaction.atomic():
            return post(Plan(kind=MOVED, subject=uuid7(), legs=legs))

    return "posted", move


SET = """
    SELECT r.item, r.position, r.account_id, r.amount, r.item AS subject
    FROM unnest(%(items)s::uuid[], %(accounts)s::uuid[], %(amounts)s::numeric[]) WITH ORDINALITY
         AS r (item, account_id, amount, position)
"""


def _posting_sets(rings: Sequence[Sequence[UUID]]) -> Way:
    from superapp.ids import uuid7
    from tests.own_flows import MOVED
    from wallet.ledger_sets import post_set

    def move(dice: random.Random) -> object:
        ring = list(dice.choice(rings))
        dice.shuffle(ring)
        pairs = list(itertools.pairwise([*ring, ring[0]]))  # round the whole ring, from anywhere
        params: dict[str, Any] = {
            "items": [item for item in [uuid7() for _ in pairs] for _ in range(2)],
            "accounts": [account for pair in pairs for account in pair],
            "amounts": [Decimal("-0.01"), Decimal("0.01")] * len(pairs),
        }
        with transaction.atomic():
            return post_set(kind=MOVED, legs=SET, params=params)

    return "posted in sets", move


def _at_once(jobs: Sequence[Way], seconds: float, tally: Tally) -> None:
    ready = threading.Barrier(len(jobs) + 1)
    counting = threading.Lock()
    ends_at: list[float] = []

    def work(number: int, way: Way) -> None:
        name, act = way
        dice = random.Random(number)
        done: Counter[str] = Counter()
        faults: Counter[str] = Counter()
        connection.ensure_connection()
        ready.wait(PATIENCE_SECONDS)
        try:
            while not ends_at or time.monotonic() < ends_at[0]:
                try:
                    act(dice)
                    done[name] += 1
                except Exception as error:  # noqa: BLE001  whatever a caller sees is counted
                    faults[f"{name}: {_name_of(error)}"] += 1
        finally:
            with counting:
                tally.calls += done
                tally.faults += faults
            connections.close_all()

    threads = [threading.Thread(target=work, args=(number, way)) for number, way in enumerate(jobs)]
    for thread in threads:
        thread.start()
    ready.wait(PATIENCE_SECONDS)
    began = time.monotonic()
    ends_at.append(began + seconds)
    for thread in threads:
        thread.join(seconds + PATIENCE_SECONDS)
    tally.seconds = time.monotonic() - began


def _name_of(error: Exception) -> str:
    from superapp.faults import sqlstate_of

    code = getattr(error, "code", None) or (sqlstate_of(error) if isinstance(error, DatabaseError) else None)
    return f"{type(error).__name__} {code or ''}".strip()


def _deadlocks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


def main() -> int:
    """Runs it in a database of its own, verifies the ledger, and prints one JSON object; 1 when a caller saw a fault."""
    parser = argparse.ArgumentParser(description="Money in rings from many connections at once.")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--connections", type=int, default=64)
    asked = parser.parse_args()
    import django

    django.setup()
    from tests.databases import cloned
    from tests.own_flows import own_flows
    from wallet.verification import LEDGER, verify

    with cloned(), own_flows():
        tally = run(seconds=asked.seconds, connections_count=asked.connections)
        findings = sum(len(found) for found in verify(area=LEDGER).values())
    sys.stdout.write(json.dumps({**tally.report(), "connections": asked.connections, "findings": findings}) + "\n")
    return 1 if tally.faults or findings else 0


if __name__ == "__main__":
    import os

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    sys.exit(main())
