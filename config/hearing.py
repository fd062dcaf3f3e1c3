"""A worker that can hear nothing any more notices it, and connects anew.

While the broker is away a worker may end a task and find nobody to acknowledge it to. Celery notes that and goes on; but the
message still counts as being worked on. When all of a worker's places are taken in that way it asks the broker for nothing, so
no error ever tells it that its connection is gone: it lives, and is deaf until it is started again. So every few seconds a
worker looks whether all its places are taken while it works on nothing.
"""

from typing import Any

from celery import bootsteps
from celery.worker import state

LOOK_EVERY_SECONDS = 2.0
LOOKS = 2
"""So many in a row, so that a moment between two steps of the worker is not taken for deafness."""


class Hearing(bootsteps.StartStopStep):  # type: ignore[misc]
    """A step of the worker's consumer: begins anew with each connection."""

    requires = {"celery.worker.consumer.tasks:Tasks"}

    def __init__(self, consumer: Any, **_about: Any) -> None:
        self.entry: Any = None
        self.deaf_looks = 0
        super().__init__(consumer)

    def start(self, consumer: Any) -> None:
        """Begins to look."""
        self.deaf_looks = 0
        if consumer.timer is not None:
            self.entry = consumer.timer.call_repeatedly(LOOK_EVERY_SECONDS, self.look, (consumer,))

    def stop(self, _consumer: Any) -> None:
        """Looks no more."""
        if self.entry is not None:
            self.entry.cancel()
            self.entry = None

    def look(self, consumer: Any) -> None:
        """Raises one of the broker's connection errors when the worker is deaf, which makes it connect anew."""
        channel = consumer.task_consumer.channel if consumer.task_consumer else None
        qos: Any = getattr(channel, "qos", None)
        deaf = hasattr(qos, "can_consume") and not qos.can_consume() and not state.reserved_requests
        self.deaf_looks = self.deaf_looks + 1 if deaf else 0
        if self.deaf_looks >= LOOKS:
            self.deaf_looks = 0
            raise consumer.connection_errors[0]("every place is taken by a message that could not be acknowledged")
