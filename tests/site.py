"""A real site for a test: web, worker and beat processes around one database, to be used over HTTP and to be killed."""

import os
import random
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from config import engines, runner
from tests.databases import CHECKOUT, TestDatabase
from tests.valkey_pairs import SITE_PAIRS, claimed_pair
from tests.waiting import wait_until

HANGS_SECONDS = 120
"""A process that has not ended so long after it was asked to will not end. It may drain for 30 s, on a machine of its own."""

WORKERS = 8
"""Into how many parts the ports are divided."""


class Site:
    """The processes of one site. Each is a group of its own, so that `kill` takes a worker with all its children."""

    def __init__(self, database: TestDatabase, folder: Path, *, local: engines.Home, pair: tuple[int, int]) -> None:
        broker, cache = pair
        self.database = database
        self.folder = folder
        self.environment = {
            **os.environ,
            "DATABASE_URL": database.url,
            "REDIS_URL": local.redis_url(cache),
            "CELERY_BROKER_URL": local.broker_url(broker),
            "SUPERAPP_LOCAL_DIR": str(local.folder),
            "SUPERAPP_MODE": "sandbox",
            "PYTHONUNBUFFERED": "1",
        }
        self.port = free_port()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.front_ends: list[httpx.Client] = []

    @property
    def url(self) -> str:
        """Where the web answers."""
        return f"http://127.0.0.1:{self.port}"

    def start_web(self, *, processes: int = 1) -> None:
        """Starts the web server and waits until it is ready to serve, but for the beat, which may come later."""
        self.begin_web(processes=processes)
        self.wait_for_web()

    def begin_web(self, *, processes: int = 1) -> None:
        """Starts the web server."""
        self._start("web", runner.web_command(port=self.port, processes=processes))

    def wait_for_web(self) -> None:
        """Waits until it answers; on a machine with much else to do that takes a while."""
        wait_until(self._answers, deadline_seconds=300, what="the web server")

    def start_worker(self, name: str = "worker", *, processes: int = 2, queue: str = "") -> None:
        """Starts a Celery worker with so many processes, which listens to the site's own queue or to the one named."""
        hears = ["--queues", queue] if queue else []
        command = [*runner.worker_command(processes=processes), "--hostname", f"{name}@%h", *hears]
        self._start(name, command, kind="worker")

    def start_beat(self, name: str = "beat") -> None:
        """Starts a beat; two do no harm."""
        self._start(name, runner.beat_command(), kind="beat")

    def kill(self, *names: str) -> None:
        """kill -9, with all children; waits until they are gone."""
        for name in names:
            process = self.processes.pop(name)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def drain(self, *names: str) -> dict[str, int]:
        """SIGTERM to each at once; what each ended with. Raises TimeoutExpired when one takes more than 40 s."""
        for name in names:
            self.processes[name].terminate()
        ended = {name: self.processes[name].wait(timeout=40) for name in names}
        for name in names:
            del self.processes[name]
        return ended

    def stop(self) -> None:
        """Ends whatever still runs."""
        for front_end in self.front_ends:
            front_end.close()
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        for process in self.processes.values():
            try:
                process.wait(timeout=HANGS_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.processes.clear()

    def log(self, name: str) -> str:
        """What a process has said so far."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def manage(self, *words: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Runs a management command against this site's database."""
        return self.run("manage.py", *words, check=check)

    def run(self, *words: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Runs Python with this site's settings."""
        done = subprocess.run(
            [sys.executable, *words],
            cwd=CHECKOUT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert not check or done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}"
        return done

    def _start(self, name: str, command: Sequence[str], *, kind: str | None = None) -> None:
        assert name not in self.processes
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                cwd=CHECKOUT,
                env={**self.environment, "SUPERAPP_PROCESS": kind or name},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _answers(self) -> bool:
        assert self.processes["web"].poll() is None, self.log("web")
        try:
            return httpx.get(f"{self.url}/livez", timeout=5).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False


@contextmanager
def a_site(database: TestDatabase, folder: Path) -> Iterator[Site]:
    """A site around the database; whatever runs of it is ended afterwards."""
    with claimed_pair(SITE_PAIRS) as pair:
        site = Site(database, folder, local=engines.home(), pair=pair)
        try:
            yield site
        finally:
            site.stop()


class Client:
    """A front end: speaks HTTP to a site, as one person once signed up."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.http = httpx.Client(base_url=site.url, timeout=60)
        site.front_ends.append(self.http)
        self.token = ""

    def sign_up(self, *, phone: str, name: str, handle: str, password: str = "a long enough secret") -> None:
        """Signs up by phone, with the code that the sandbox shows in the web's log."""
        details = {"phone": phone, "password": password, "display_name": name, "handle": handle}
        answer = self._post("/_allauth/app/v1/auth/signup", details)
        self.token = answer["meta"]["session_token"]
        shown = re.compile(rf"to {re.escape(phone)}: (\d{{6}}) ")
        codes = wait_until(lambda: shown.findall(self.site.log("web")), what="the code in the log")
        answer = self._post("/_allauth/app/v1/auth/phone/verify", {"code": codes[-1]})
        self.token = answer["meta"].get("session_token", self.token)

    def ask(self, document: str, **variables: object) -> dict[str, Any]:
        """One GraphQL request; its data. Any top-level error fails the test."""
        answer = self._post("/graphql/", {"query": document, "variables": variables})
        assert "errors" not in answer, answer
        data: dict[str, Any] = answer["data"]
        return data

    def do(self, mutation: str, fields: str, **given: object) -> dict[str, Any]:
        """One mutation with its input; the member of the union it answered with."""
        name = mutation[0].upper() + mutation[1:]
        document = (
            f"mutation Do($input: {name}Input!) {{ {mutation}(input: $input) {{ __typename "
            f"... on UserError {{ code message }} ... on {name}Success {{ {fields} }} }} }}"
        )
        member: dict[str, Any] = self.ask(document, input=given)[mutation]
        return member

    def _post(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        headers = {"X-Session-Token": self.token} if self.token else {}
        answer: dict[str, Any] = answered(lambda: self.http.post(path, json=body, headers=headers)).json()
        return answer


def answered(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """The answer, asked for again while it is UNAVAILABLE: a busy machine may need longer than a request may take, and who is
    told so sends the same once more. Only for what may be sent twice: a query, a mutation under its key, a refusal.
    """
    return wait_until(lambda: None if _unavailable(answer := ask()) else answer, what="an answer in time")


def _unavailable(answer: httpx.Response) -> bool:
    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        return True
    return b'"code": "UNAVAILABLE"' in answer.content or b'"code":"UNAVAILABLE"' in answer.content


def free_port() -> int:
    """A port nobody has, below those the system gives to callers: it stays free while a killed server is away.

    Sessions of tests that run side by side choose from different ones.
    """
    first = int("".join(filter(str.isdigit, os.environ.get("PYTEST_XDIST_WORKER", "0")))) % WORKERS
    while True:
        port = random.randrange(20_000 + first, 32_000, WORKERS)
        with socket.socket() as trial, suppress(OSError):
            trial.bind(("127.0.0.1", port))
            return port
