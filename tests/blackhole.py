"""A server that takes every connection and never says a word: what a broken network or a hanging process looks like."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class BlackHole:
    """Where it listens, and how many have come."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._held: list[socket.socket] = []
        self.port: int = listener.getsockname()[1]

    @property
    def visitors(self) -> int:
        """How many connections it has taken."""
        return len(self._held)

    def take_all(self) -> None:
        """Takes connections until the listener is closed; reads nothing, answers nothing."""
        with suppress(OSError):
            while True:
                self._held.append(self._listener.accept()[0])

    def let_go(self) -> None:
        """Closes every connection."""
        for taken in self._held:
            taken.close()


@contextmanager
def a_black_hole() -> Iterator[BlackHole]:
    """One on a free port of this machine, for as long as the block runs."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        hole = BlackHole(listener)
        thread = threading.Thread(target=hole.take_all, daemon=True)
        thread.start()
        try:
            yield hole
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            hole.let_go()
