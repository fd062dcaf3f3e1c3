"""`benchmark api`: what a phone waits for, over HTTP: sending money without PIN and with it, and asking for one's balance.

The real web server, four processes of one thread, answers sixteen keep-alive connections; requests carry session tokens and
each its own idempotency key. Everything is on: bounds, masking, request ids, log lines, policies, the doorbell. Small payments
are switched on, so that one that carries no PIN passes; the path with a PIN is reported beside it.

The limit is a bare Strawberry view on a server of its own, with as many processes (`config.benchmarks.bare_views`): the same
authentication, and one SQL function that writes the same rows: the key, the day's sum on the PIN's row, entry, two postings,
balance, transfer.
"""

import json
import os
import random
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path

from config.benchmarks import database, http_clients
from config.benchmarks.report import Figures, Measured, hot_share, in_turns
from config.benchmarks.workers import end, remove_queue
from config.runner import web_command
from payments.threads import open_thread
from superapp import clock, people, sessions
from superapp.graphql.relay import node_id
from superapp.models import User
from wallet import accounts, pins, small_payments
from wallet.flows import IN_TRANSIT
from wallet.models import Account
from wallet.wallets import open_wallet

ROWS = 2_000
WORKERS = 4
CONNECTIONS = 16
PEOPLE = 128
READY_SECONDS = 60.0
PIN = "135246"
BALANCE = Decimal(1_000_000)

LIMIT_SQL = (Path(__file__).parent / "api_limit.sql").read_text()

SEND = """mutation Send($input: SendMoneyInput!) { sendMoney(input: $input) { __typename
  ... on SendMoneySuccess { transfer { id amount { amount currency } } fee { amount } } } }"""
BARE_SEND = """mutation Send($input: SendMoneyInput!) { sendMoney(input: $input) { __typename
  transfer { id amount { amount currency } } fee { amount } } }"""
BALANCE_QUERY = "query Balance { viewer { wallets { balance { amount currency } available { amount } } } }"


def measure(*, rows: int = ROWS, workers: int = WORKERS, rounds: int) -> Figures:
    """Measures the three variants; `rows` requests a round, `workers` processes on either side."""
    with database.own_database() as url:
        database.define(LIMIT_SQL)
        phones = _build_world()
        memory: list[float] = []
        refusals = [0]
        with (
            _server("config.wsgi:application", url=url, processes=workers, memory=memory) as site,
            _server("config.benchmarks.bare_site:application", url=url, processes=workers, memory=memory) as bare,
        ):
            variants = [
                _measure("send, no PIN", _Sends(phones, pin=None), site, bare, refusals, rows=rows, rounds=rounds),
                _measure("send, PIN", _Sends(phones, pin=PIN), site, bare, refusals, rows=rows, rounds=rounds),
                _measure("balance", _Balances(phones), site, bare, refusals, rows=rows, rounds=rounds),
            ]
        return Figures(
            benchmark="api",
            variants=variants,
            peak_memory_mb=max(memory),
            hot_share=hot_share(),
            facts={"workers": workers, "connections": CONNECTIONS, "refused_at_first": refusals[0]},
        )


class _Sends:
    """Requests that send a hundredth to the next person."""

    expects = b"SendMoneySuccess"

    def __init__(self, phones: Sequence[tuple[User, str]], *, pin: str | None) -> None:
        self.phones, self.pin = phones, pin

    def request(self, number: int, *, port: int, bare: bool) -> bytes:
        """The `number`-th."""
        place = number % len(self.phones)
        (_, token), (payee, _) = self.phones[place], self.phones[(place + 1) % len(self.phones)]
        asked: dict[str, object] = {
            "to": {"id": str(payee.pk) if bare else node_id("Person", payee.pk)},
            "amount": {"amount": "0.01", "currency": "CNY"},
            "idempotencyKey": f"{random.getrandbits(128):032x}",
        }
        if self.pin:
            asked["pin"] = self.pin
        body = {"query": BARE_SEND if bare else SEND, "variables": {"input": asked}}
        return http_clients.post(port=port, token=token, body=json.dumps(body).encode())


class _Balances:
    """Requests for one's balance."""

    expects = b'"CNY"'

    def __init__(self, phones: Sequence[tuple[User, str]]) -> None:
        self.phones = phones

    def request(self, number: int, *, port: int, bare: bool) -> bytes:
        """The `number`-th; the bare view is asked the same."""
        del bare
        _, token = self.phones[number % len(self.phones)]
        return http_clients.post(port=port, token=token, body=json.dumps({"query": BALANCE_QUERY}).encode())


def _measure(
    name: str, asks: _Sends | _Balances, site: int, bare: int, refusals: list[int], *, rows: int, rounds: int
) -> Measured:
    def run(port: int, count: int) -> float:
        made = [asks.request(number, port=port, bare=port == bare) for number in range(count)]
        seconds, refused = http_clients.send_all(
            port=port, requests=[made[lane::CONNECTIONS] for lane in range(CONNECTIONS)], expects=asks.expects
        )
        refusals[0] += refused
        return seconds

    for port in (site, bare):
        run(port, max(CONNECTIONS * 8, rows // 8))
    return in_turns(name, rows=rows, rounds=rounds, limit=lambda: run(bare, rows), ours=lambda: run(site, rows))


def _build_world() -> list[tuple[User, str]]:
    """People with wallets, PINs and small payments on, each with a thread with the next one; and their session tokens."""
    asset = accounts.currency_asset("CNY")
    accounts.system_account(IN_TRANSIT, asset)
    everyone = []
    for number in range(PEOPLE):
        person = people.register(display_name=f"Person {number}", email=f"person{number}@example.org")
        open_wallet(owner_id=person.pk, currency="CNY")
        pins.set_pin(user_id=person.pk, pin=PIN)
        small_payments.choose(user_id=person.pk, amount=Decimal("20.00"), currency="CNY", pin=PIN)
        everyone.append(person)
    for person, following in zip(everyone, [*everyone[1:], everyone[0]], strict=True):
        open_thread(person.pk, following.pk)
    Account.objects.filter(owner__in=everyone).update(balance=BALANCE)
    clock.forget()
    database.settle_down()
    return [(person, sessions.open_session(person)) for person in everyone]


@contextmanager
def _server(application: str, *, url: str, processes: int, memory: list[float]) -> Iterator[int]:
    """A web server with so many processes on the database at `url`; yields its port, and notes the memory it took."""
    port = _free_port()
    queue = f"superapp-benchmark-{os.getpid()}-api"
    process = subprocess.Popen(
        [*web_command(port=port, processes=processes)[:-1], application],
        env=os.environ | {"DATABASE_URL": url, "SUPERAPP_PROCESS": "web", "CELERY_TASK_DEFAULT_QUEUE": queue},
        cwd=Path(__file__).resolve().parent.parent.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is ours to handle
    )
    try:
        _wait_until_ready(port, process)
        yield port
    finally:
        memory.append(end(process))
        remove_queue(queue)


def _wait_until_ready(port: int, process: "subprocess.Popen[bytes]") -> None:
    """All of its processes listen at one address; one that answers says that they have begun."""
    gives_up_at = time.monotonic() + READY_SECONDS
    while time.monotonic() < gives_up_at and process.poll() is None:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return
        time.sleep(0.05)
    raise RuntimeError("The web server of the benchmark did not start.")


def _free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])
