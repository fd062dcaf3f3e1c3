"""Clients that move money and keep a log: each request is noted before it is sent, each answer after it came.

A log is one file of JSON lines for each client, each line with its instant. What a request came to is its last line:

| outcome | meaning |
|---|---|
| `done` | acknowledged, with the id of what was made |
| `refused` | a typed refusal of the business: nothing happened, and the same key is refused again |
| `unknown` | no answer, or UNAVAILABLE: it may have happened or not, until the same request is sent again with its key |
"""

import base64
import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.faults.world import FUND, HOT, World
from tests.waiting import wait_until

HOT_SHARE = 0.5
ASK_AGAIN_SHARE = 0.02
"""How often an acknowledged request is sent once more: the answer must be the first one."""
BREATH_SECONDS = 0.25
"""After a fault, so that a site that is down is not asked ten thousand times."""
ANSWER_SECONDS = 20

FIELDS = {
    "sendMoney": ("SendMoney", "transfer { id }", "transfer"),
    "topUp": ("TopUp", "topUp { id }", "topUp"),
    "subscribeFund": ("SubscribeFund", "order { id }", "order"),
}


class NotAnswered(Exception):
    """Nobody can say what became of the request."""


class Wire:
    """One connection to the site, made anew after a fault."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connection: http.client.HTTPConnection | None = None
        self.was_refused = False
        """Whether nobody listened the last time: then a client has nothing better to do than to knock again."""

    def mutate(self, operation: str, given: Mapping[str, object], *, token: str) -> tuple[str, str]:
        """(`done`, id) or (`refused`, code). Raises NotAnswered."""
        name, fields, member = FIELDS[operation]
        document = (
            f"mutation Do($input: {name}Input!) {{ answer: {operation}(input: $input) {{ __typename "
            f"... on UserError {{ code }} ... on {name}Success {{ {fields} }} }} }}"
        )
        answer = self._post({"query": document, "variables": {"input": given}}, token)
        if answer.get("errors"):
            raise NotAnswered(str(answer["errors"][0].get("extensions", {}).get("code")))
        found = answer["data"]["answer"]
        if "code" in found:
            return "refused", found["code"]
        return "done", base64.b64decode(found[member]["id"]).decode().partition(":")[2]

    def _post(self, body: Mapping[str, object], token: str) -> dict[str, Any]:
        headers = {"Content-Type": "application/json", "X-Session-Token": token}
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)
            self.was_refused = False
            self.connection.request("POST", "/graphql/", json.dumps(body), headers)
            response = self.connection.getresponse()
            text = response.read()
            answer: dict[str, Any] = json.loads(text)
        except (OSError, http.client.HTTPException, json.JSONDecodeError) as fault:
            self.close()
            self.was_refused = isinstance(fault, ConnectionRefusedError)
            raise NotAnswered(type(fault).__name__) from fault
        return answer

    def close(self) -> None:
        """Hangs up."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Client:
    """One of the clients: a thread, a log, a seed that says what it asks for."""

    def __init__(self, clients: "Clients", number: int) -> None:
        self.clients = clients
        self.wire = Wire(clients.port)
        self.chance = random.Random(clients.seed * 1000 + number)
        self.log = (clients.folder / f"{clients.name}-{number}.jsonl").open("a")
        self.asked = 0
        self.unknown: list[dict[str, Any]] = []

    def run(self) -> None:
        """Moves money until told to stop."""
        while not self.clients.stopping.is_set():
            request = self._choose()
            self.note(request)
            outcome, _ = self.ask(request)
            while outcome == "unknown" and not self.clients.stopping.wait(BREATH_SECONDS) and self.wire.was_refused:
                outcome, _ = self.ask(request)
            if outcome == "unknown":
                self.unknown.append(request)
            elif self.chance.random() < ASK_AGAIN_SHARE:
                self.ask(request)

    def resolve(self) -> None:
        """Sends every request again whose outcome is not known, until it is."""
        for request in self.unknown:
            wait_until(lambda request=request: self.ask(request)[0] != "unknown", what=f"an answer to {request}")  # type: ignore[misc]
            with self.clients.lock:
                self.clients.figures["resolved"] += 1
        self.unknown.clear()

    def ask(self, request: Mapping[str, Any]) -> tuple[str, str]:
        """Sends a request and notes what came of it: an outcome, and an id, a code, or why it is not known."""
        people = self.clients.world.people
        given: dict[str, object] = {
            "amount": {"amount": request["amount"], "currency": "CNY"},
            "idempotencyKey": request["key"],
        }
        if request["operation"] == "sendMoney":
            given |= {"to": {"id": people[request["to"]].node}, "pin": self.clients.world.pin}
        if request["operation"] == "subscribeFund":
            given["fund"] = FUND
        try:
            outcome, told = self.wire.mutate(request["operation"], given, token=people[request["by"]].token)
        except NotAnswered as fault:
            outcome, told = "unknown", str(fault)
        self.note({"key": request["key"], "outcome": outcome, "told": told})
        self.clients.count(outcome, told)
        return outcome, told

    def _choose(self) -> dict[str, Any]:
        self.asked += 1
        by, to = self.clients.chosen_pair(self.chance)
        kind = self.chance.random()
        operation = "topUp" if kind < 0.04 else "subscribeFund" if kind < 0.06 else "sendMoney"
        cents = self.chance.choice([1, 7, 100, 1234, 30_000])
        return {
            "key": f"{self.log.name.rpartition('/')[2]}-{self.asked}-{self.chance.getrandbits(40):x}",
            "operation": operation,
            "by": by,
            "to": to,
            "amount": f"{cents // 100}.{cents % 100:02d}",
        }

    def note(self, line: Mapping[str, object]) -> None:
        """Writes a line that survives whatever happens next, with the second since 1970 at which it is written (`at`)."""
        self.log.write(json.dumps({**line, "at": time.time()}) + "\n")
        self.log.flush()


class ByHand:
    """One request of a client that a test moves step by step; `send` may be called again, with the same key."""

    def __init__(self, clients: "Clients", request: dict[str, Any]) -> None:
        self.client, self.request = clients.clients[-1], request
        self.client.note(request)

    def send(self) -> tuple[str, str]:
        """(outcome, id or code or why it is not known)."""
        return self.client.ask(self.request)

    def send_until(
        self, answered: Callable[[tuple[str, str]], bool] = lambda told: told[0] != "unknown"
    ) -> tuple[str, str]:
        """The first answer that will do: a busy machine may take longer for another than a request may last."""

        def told() -> tuple[str, str] | None:
            return found if answered(found := self.send()) else None

        return wait_until(told, what=f"an answer to {self.request}")


class Clients:
    """Clients at work, from `start` to `finish`."""

    def __init__(self, world: World, *, port: int, folder: Path, name: str, count: int, seed: int) -> None:
        self.world, self.port, self.folder, self.name, self.seed = world, port, folder, name, seed
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.figures: Counter[str] = Counter()
        self.unknown_because: Counter[str] = Counter()
        self.successes: list[float] = []
        """When each acknowledgement came, on the monotonic clock."""
        self.clients = [Client(self, number) for number in range(count + 1)]
        """The last one only does what it is told (`by_hand`)."""
        self.pool = ThreadPoolExecutor(max_workers=count + 1)
        self.running: list[Any] = []

    def by_hand(self, key: str, *, by: int, to: int, amount: str) -> "ByHand":
        """A request that a test sends itself, with its own line in the logs."""
        return ByHand(self, {"key": key, "operation": "sendMoney", "by": by, "to": to, "amount": amount})

    def start(self) -> None:
        """All begin."""
        self.running = [self.pool.submit(client.run) for client in self.clients[:-1]]

    def pause(self) -> None:
        """All end what they are at, and ask for nothing new."""
        self.stopping.set()
        for each in self.running:
            each.result()

    def finish(self) -> None:
        """All end; then every outcome that is not known is asked for. The site is well by now."""
        self.pause()
        for each in [self.pool.submit(client.resolve) for client in self.clients]:
            each.result()
        for client in self.clients:
            client.wire.close()
            client.log.close()
        self.pool.shutdown()

    def moved(self) -> int:
        """How many requests have been acknowledged."""
        return self.figures["done"]

    def more(self, count: int, *, deadline_seconds: float = 90) -> None:
        """Waits for so many more acknowledgements."""
        target = self.moved() + count
        wait_until(lambda: self.moved() >= target, deadline_seconds, what=f"{count} more moves")

    def recovery_seconds(self, healed_from: float, *, deadline_seconds: float = 90) -> float:
        """From then to the first acknowledgement after it."""
        first = wait_until(
            lambda: next((at for at in reversed(self.successes) if at > healed_from), None),
            deadline_seconds,
            what="a success after healing",
        )
        return min(first, *(at for at in self.successes[-5000:] if at > healed_from)) - healed_from

    def count(self, outcome: str, told: str) -> None:
        """Notes an answer in the figures."""
        with self.lock:
            self.figures[outcome] += 1
            if outcome == "done":
                self.successes.append(time.monotonic())
            if outcome == "unknown":
                self.unknown_because[told] += 1

    def chosen_pair(self, chance: random.Random) -> tuple[int, int]:
        """Who pays whom; in half of the cases one of them is hot."""
        by, to = chance.sample(range(len(self.world.people)), 2)
        if chance.random() < HOT_SHARE:
            hot = chance.randrange(HOT)
            by, to = (hot, to) if chance.random() < 0.5 else (by, hot)
        return (by, to) if by != to else (by, (to + 1) % len(self.world.people))


def at_work(clients: Clients, during: Callable[[], None]) -> None:
    """The clients move money while something is done to the site; afterwards every outcome is known."""
    clients.start()
    try:
        during()
    finally:
        clients.finish()
