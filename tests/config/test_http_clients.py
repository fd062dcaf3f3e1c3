"""The phones of `benchmark api`: what they ask again, what they count, and what ends the measurement."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from config.benchmarks import http_clients

GOOD = b'{"data": {"sendMoney": {"__typename": "SendMoneySuccess"}}}'
NOT_NOW = b'{"errors": [{"extensions": {"code": "UNAVAILABLE"}}], "data": null}'
GIVEN_UP = b'{"errors": [{"message": "canceling statement due to statement timeout"}], "data": null}'
REFUSED = b'{"data": {"sendMoney": {"__typename": "InsufficientFunds"}}}'


@contextmanager
def _a_server_that_says(answers: Sequence[tuple[int, bytes]]) -> Iterator[tuple[int, list[bytes]]]:
    """One connection's worth of answers in turn; yields the port, and what was asked so far."""
    asked: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        caller, _ = listener.accept()
        with caller:
            for status, body in answers:
                asked.append(caller.recv(65_536))
                caller.sendall(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))

    server = threading.Thread(target=serve, daemon=True)
    server.start()
    with listener:
        yield listener.getsockname()[1], asked
        server.join(30)


@pytest.mark.parametrize("not_now", [(503, b"{}"), (200, NOT_NOW), (200, GIVEN_UP)])
def test_what_cannot_be_done_now_is_asked_again_with_the_same_bytes_and_counted(not_now: tuple[int, bytes]) -> None:
    with _a_server_that_says([not_now, not_now, (200, GOOD)]) as (port, asked):
        request = http_clients.post(port=port, token="t", body=b'{"key": "1"}')
        _, refused = http_clients.send_all(port=port, requests=[[request]], expects=b"SendMoneySuccess")

    assert refused == 2
    assert asked == [request] * 3


def test_a_refusal_by_rule_ends_the_measurement() -> None:
    with _a_server_that_says([(200, REFUSED)]) as (port, asked):
        request = http_clients.post(port=port, token="t", body=b"{}")
        with pytest.raises(http_clients.WrongAnswer, match="InsufficientFunds"):
            http_clients.send_all(port=port, requests=[[request]], expects=b"SendMoneySuccess")

    assert asked == [request]
