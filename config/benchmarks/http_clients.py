"""Phones for a benchmark: keep-alive connections that send requests made beforehand and read the answers, and little else.

A client that decoded each answer or built each request would take the cores that are measured, and more of them from the side
that is faster. So the bytes are put together before the clock runs, and an answer is looked at only for its status and for
the words that a good one holds.
"""

import socket
import threading
import time
from collections.abc import Sequence

TIMEOUT_SECONDS = 30.0
REFUSED_PAUSE_SECONDS = 0.05
MOST_REFUSALS = 100

NOT_NOW = (b'"UNAVAILABLE"', b"canceling statement due to", b"has used up its time")
"""What an answer of 200 holds whose request was given up in time, because the machine had stalled: the site's word, and those
of the limit's bare view, which masks nothing.
"""


class WrongAnswer(RuntimeError):
    """The server said something else than what a good answer holds."""


def post(*, port: int, token: str, body: bytes) -> bytes:
    """The bytes of one request, as a phone sends it."""
    head = (
        f"POST /graphql/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Accept: application/json\r\nX-Session-Token: {token}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def send_all(*, port: int, requests: Sequence[Sequence[bytes]], expects: bytes) -> tuple[float, int]:
    """One connection for each sequence, all at once, each sending its requests one after the other; the seconds it took, and
    how many requests were told "not now" at first.

    Raises WrongAnswer for an answer that is not 200 or does not hold `expects`.
    """
    connections = [_Connection(port, each, expects) for each in requests]
    started = time.perf_counter()
    for connection in connections:
        connection.start()
    for connection in connections:
        connection.join()
    seconds = time.perf_counter() - started
    for connection in connections:
        if connection.fault is not None:
            raise connection.fault
    return seconds, sum(connection.refusals for connection in connections)


class _Connection(threading.Thread):
    def __init__(self, port: int, requests: Sequence[bytes], expects: bytes) -> None:
        super().__init__(daemon=True)
        self.requests = requests
        self.expects = expects
        self.fault: Exception | None = None
        self.refusals = 0
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(self) -> None:
        """Sends each request and waits for its answer."""
        try:
            with self.socket:
                for request in self.requests:
                    head, answer = self._ask(request)
                    if b" 200 " not in head[:16] or self.expects not in answer:
                        raise WrongAnswer((head[:16] + b" " + answer[:300]).decode(errors="replace"))
        except (OSError, WrongAnswer) as fault:
            self.fault = fault

    def _ask(self, request: bytes) -> tuple[bytes, bytes]:
        """The answer; one that says "not now" is asked again with its key, like a phone would, but sooner."""
        for _ in range(MOST_REFUSALS):
            self.socket.sendall(request)
            head, answer = self._read()
            if b" 503 " not in head[:16] and not any(words in answer for words in NOT_NOW):
                break
            self.refusals += 1
            time.sleep(REFUSED_PAUSE_SECONDS)
        return head, answer

    def _read(self) -> tuple[bytes, bytes]:
        found = b""
        while b"\r\n\r\n" not in found:
            found += self._more()
        head, _, answer = found.partition(b"\r\n\r\n")
        _, named, rest = head.lower().partition(b"content-length:")
        length = int(rest.split(b"\r\n", 1)[0]) if named else None
        # without a length it comes in chunks, of which the last is empty
        while not answer.endswith(b"\r\n0\r\n\r\n") if length is None else len(answer) < length:
            answer += self._more()
        return head, answer

    def _more(self) -> bytes:
        piece = self.socket.recv(65_536)
        if not piece:
            raise WrongAnswer("the server hung up")
        return piece
