"""Somebody between the site and its workers, who passes messages on: as they come, or badly.

The site posts to one queue, the workers listen to another; only what passes here is ever heard. While `meddling`, every
message is tripled, shuffled and late, and one in twenty is lost.
"""

import json
import random
import threading
import time
from collections import Counter
from contextlib import suppress
from typing import Any
from uuid import uuid4

import redis

QUEUE = "superapp"
"""What the workers listen to."""
POSTED = "posted"
"""What the site posts to."""
LOST_SHARE = 0.05
COPIES = 3
LATE_SECONDS = 2.0
LOOK_SECONDS = 0.05


class Meddler:
    """Passes messages on from `start` to `stop`, whatever happens to the broker meanwhile."""

    def __init__(self, broker_url: str, *, seed: int) -> None:
        self.broker_url = broker_url
        self.chance = random.Random(seed)
        self.meddling = False
        self.figures: Counter[str] = Counter()
        """Of messages that were meddled with: posted, lost, heard."""
        self.waiting: list[tuple[float, bytes]] = []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._pass_on, daemon=True)

    def start(self) -> None:
        """Begins."""
        self.thread.start()

    def stop(self) -> None:
        """Ends; what waits is lost."""
        self.stopping.set()
        self.thread.join()

    def _pass_on(self) -> None:
        with redis.from_url(self.broker_url) as broker:
            while not self.stopping.wait(LOOK_SECONDS):
                with suppress(redis.RedisError):  # the broker is away, or still reads its file
                    self._look(broker)

    def _look(self, broker: "redis.Redis") -> None:
        while posted := broker.rpop(POSTED):
            if self.meddling:
                self._take(bytes(posted))  # type: ignore[arg-type]
            else:
                broker.lpush(QUEUE, bytes(posted))  # type: ignore[arg-type]
        due = [message for at, message in self.waiting if at <= time.monotonic()]
        self.chance.shuffle(due)
        if due:
            broker.lpush(QUEUE, *due)
            self.figures["heard"] += len(due)
            self.waiting = [one for one in self.waiting if one[1] not in due]

    def _take(self, posted: bytes) -> None:
        self.figures["posted"] += 1
        if self.chance.random() < LOST_SHARE:
            self.figures["lost"] += 1
            return
        message: dict[str, Any] = json.loads(posted)
        for _ in range(COPIES):
            message["properties"]["delivery_tag"] = str(uuid4())
            self.waiting.append((time.monotonic() + self.chance.uniform(0, LATE_SECONDS), json.dumps(message).encode()))


def an_unknown_task() -> bytes:
    """A well-formed message for a task nobody has heard of."""
    return _envelope(task="payments.no_such_task", body="W1tdLCB7fSwge31d")


def a_task_with_nonsense() -> bytes:
    """A message for a task of ours whose body is no JSON."""
    return _envelope(task="payments.settle_due", body="/////w==")


def a_task_with_strange_arguments() -> bytes:
    """A message for a task of ours with arguments it does not take."""
    return _envelope(task="payments.settle_due", body="W1siYSIsICJiIl0sIHsiYyI6IDF9LCB7fV0=")


def _envelope(*, task: str, body: str) -> bytes:
    number = str(uuid4())
    return json.dumps(
        {
            "body": body,
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {"lang": "py", "task": task, "id": number, "root_id": number, "retries": 0, "argsrepr": "()"},
            "properties": {
                "correlation_id": number,
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": QUEUE},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": str(uuid4()),
            },
        }
    ).encode()
