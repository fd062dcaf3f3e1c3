"""A whole site with engines of its own, to be broken: nobody else notices when its PostgreSQL is killed.

    clients ── HTTP ──> web (2 processes) ── proxy ──> PostgreSQL <── worker (2 processes) <──┐
                          └── messages ──> Valkey ──> meddler ──> Valkey ──────────────────────┘
                     beat ──┘

Everything of it lies in one short folder of its own, in memory where there is room: a killed process loses nothing that the
kernel has taken, on a disk or not, and nobody here pulls the plug. What is killed is started again by the rig, as systemd (or
`make run` for the engines) would do; the instant before that is where recovery is measured from, boot and all.
"""

import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import redis

from config.engines import Home, lifetime
from config.engines.lifetime import Needed
from tests.databases import TestDatabase
from tests.faults.meddler import POSTED, QUEUE, Meddler
from tests.faults.proxy import Proxy
from tests.faults.world import World
from tests.site import Site
from tests.waiting import wait_until

ENGINES = Needed(postgres=True, valkey=True)
BROKER, CACHE = 0, 1
WEB_PROCESSES, WORKER_PROCESSES = 2, 2
MEDDLING_SECONDS = 5
ROOM_BYTES = 4 * 2**30
MONEY = "superapp_idempotencykey"
"""Stands in every transaction that moves money for a client, and in no other."""


class Rig(Site):
    """A site, its engines and the proxy before its web."""

    def __init__(self, folder: Path, *, engines: Path | None = None) -> None:
        self.home = Home(engines or folder / "l")
        lifetime.ensure_running(self.home, ENGINES)
        url = self.home.database_url()
        logs = folder / "log"
        logs.mkdir()
        super().__init__(TestDatabase(name="superapp", url=url), logs, local=self.home, pair=(BROKER, CACHE))
        self.clients_folder = folder / "clients"
        self.clients_folder.mkdir()
        self.proxy = Proxy(folder / "p", server=self.home.run)
        self.meddler = Meddler(self.home.redis_url(BROKER), seed=1)
        self.environment["CELERY_TASK_DEFAULT_QUEUE"] = POSTED
        self.world = World(people=[])

    # -- what it is made of

    def make_world(self) -> None:
        """Migrates the database, and fills it."""
        self.manage("migrate", "--verbosity", "0")
        self.world = World.read(self.run("-m", "tests.faults.world").stdout.splitlines()[-1])
        self.meddler.start()

    def serve(self) -> None:
        """Starts whatever does not run: engines, web, worker, beat. The web speaks to PostgreSQL through the proxy."""
        lifetime.ensure_running(self.home, ENGINES)
        for name in [name for name, process in self.processes.items() if process.poll() is not None]:
            del self.processes[name]  # it ended by itself; whoever looks after a site starts it again
        if "web" not in self.processes:
            self.begin_web()
        if "worker" not in self.processes:
            self.start_worker()
        if "beat" not in self.processes:
            self.start_beat()
        self.wait_for_web()

    def start_worker(self, name: str = "worker", *, processes: int = WORKER_PROCESSES, queue: str = QUEUE) -> None:
        """Listens to the one queue, whatever it posts to itself."""
        super().start_worker(name, processes=processes, queue=queue)

    def look_after(self) -> None:
        """Starts again what has ended by itself, as a supervisor does all the time."""
        if any(process.poll() is not None for process in self.processes.values()):
            self.serve()

    def begin_web(self, *, processes: int = WEB_PROCESSES) -> None:
        """Through the proxy."""
        direct = self.environment["DATABASE_URL"]
        self.environment["DATABASE_URL"] = direct.replace(_quoted(self.home.run), _quoted(self.proxy.folder))
        try:
            super().begin_web(processes=processes)
        finally:
            self.environment["DATABASE_URL"] = direct

    def owner(self) -> "psycopg.Connection[Any]":
        """A session of the database's owner, beside the proxy; every statement a transaction of its own."""
        return psycopg.connect(self.database.url, autocommit=True)

    def broker(self) -> "redis.Redis":
        """The broker, as its operator sees it."""
        return redis.from_url(self.home.redis_url(BROKER))

    def close(self) -> None:
        """Ends all of it."""
        self.stop()
        self.proxy.close()
        if self.meddler.thread.is_alive():
            self.meddler.stop()
        lifetime.stop(self.home)
        lifetime.leave(self.home)

    # -- breaking it; each answers the instant at which mending began

    def kill_web(self) -> float:
        """kill -9 of the web server with all its processes."""
        self.kill("web")
        healed_from = time.monotonic()
        self.serve()
        return healed_from

    def kill_web_process(self) -> float:
        """kill -9 of one process that serves; the server starts another by itself."""
        _kill(_children(self.processes["web"].pid))
        return time.monotonic()

    def kill_worker(self) -> float:
        """kill -9 of the worker with all its processes."""
        self.kill("worker")
        healed_from = time.monotonic()
        self.serve()
        return healed_from

    def kill_worker_process(self) -> float:
        """kill -9 of one process that works; the worker starts another by itself."""
        _kill(_children(self.processes["worker"].pid))
        return time.monotonic()

    def kill_beat(self) -> float:
        """kill -9 of the beat."""
        self.kill("beat")
        healed_from = time.monotonic()
        self.serve()
        return healed_from

    def kill_postgres(self) -> float:
        """kill -9 of the postmaster; its orphans are ended when it is started again."""
        postmaster = psutil.Process(self._postmaster_id())
        postmaster.kill()
        postmaster.wait(10)
        healed_from = time.monotonic()
        self.serve()
        return healed_from

    def kill_backend(self) -> float:
        """kill -9 of one session's process: PostgreSQL ends all sessions and recovers by itself."""
        with suppress(psycopg.OperationalError), self.owner() as session:
            found = session.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'superapp web' ORDER BY random() LIMIT 1"
            ).fetchone()
            if found:
                os.kill(found[0], signal.SIGKILL)
        return time.monotonic()

    def kill_valkey(self) -> float:
        """kill -9 of the broker and cache."""
        self.end_valkey()
        healed_from = time.monotonic()
        self.serve()
        return healed_from

    def end_everything(self) -> None:
        """kill -9 of all there is, at once; it stays away until `serve`."""
        postmaster = psutil.Process(self._postmaster_id())
        sessions = postmaster.children(recursive=True)
        for one in (postmaster, *sessions):
            with suppress(psutil.NoSuchProcess):
                one.kill()
        self.kill(*self.processes)
        self.end_valkey()
        psutil.wait_procs([postmaster, *sessions], timeout=10)

    def end_valkey(self) -> None:
        """kill -9 of the broker and cache; they stay away until `serve`."""
        [valkey] = [one for one in psutil.process_iter() if f"{self.home.tag}-valkey:" in " ".join(_words(one))]
        valkey.kill()
        valkey.wait(10)

    def terminate(self) -> float:
        """SIGTERM to web, worker and beat, all at once; waits for their end."""
        self.drain("web", "worker", "beat")
        healed_from = time.monotonic()
        self.serve()
        return healed_from

    def lose_answers(self) -> float:
        """The next three money transactions commit, and their clients do not hear of it."""
        self.proxy.lose_answers(3, words=MONEY)
        return time.monotonic()

    def meddle(self) -> float:
        """For a while every message is tripled, shuffled and late, and some are lost."""
        self.meddler.meddling = True
        time.sleep(MEDDLING_SECONDS)
        self.meddler.meddling = False
        return time.monotonic()

    def lose_commits(self) -> float:
        """The next three money transactions end before their COMMIT arrives."""
        self.proxy.lose_commits(3, words=MONEY)
        return time.monotonic()

    def empty_broker(self) -> float:
        """FLUSHALL: every message, the cache and the bindings of queues are gone."""
        with suppress(redis.ConnectionError), self.broker() as broker:
            broker.flushall()
        return time.monotonic()

    def _postmaster_id(self) -> int:
        return int((self.home.data / "postmaster.pid").read_text().split()[0])


KILLS = {
    "web": Rig.kill_web,
    "web process": Rig.kill_web_process,
    "worker": Rig.kill_worker,
    "worker process": Rig.kill_worker_process,
    "beat": Rig.kill_beat,
    "PostgreSQL": Rig.kill_postgres,
    "PostgreSQL session": Rig.kill_backend,
    "Valkey": Rig.kill_valkey,
}
"""By kill -9, one after the other or at random."""

OTHERS = {
    "SIGTERM to all": Rig.terminate,
    "answers to COMMIT lost": Rig.lose_answers,
    "COMMITs lost": Rig.lose_commits,
    "broker emptied": Rig.empty_broker,
    "messages meddled with": Rig.meddle,
}


@contextmanager
def a_rig(*, engines: Path | None = None) -> Iterator[Rig]:
    """A rig that serves, in a folder of its own, its engines in the one named; all of it is ended and removed afterwards."""
    own = Path(tempfile.mkdtemp(prefix="rig-", dir=_roomy()))
    own.chmod(0o755)
    rig = Rig(own, engines=engines)
    try:
        rig.make_world()
        rig.serve()
        yield rig
    finally:
        rig.close()
        shutil.rmtree(own, ignore_errors=True)


def _roomy() -> str | None:
    with suppress(OSError):
        if shutil.disk_usage("/dev/shm").free > ROOM_BYTES and os.access("/dev/shm", os.W_OK):  # noqa: S108
            return "/dev/shm"  # noqa: S108
    return None


def _quoted(folder: Path) -> str:
    from urllib.parse import quote

    return quote(str(folder), safe="")


def _children(process_id: int) -> list[psutil.Process]:
    return wait_until(lambda: psutil.Process(process_id).children(), what="a process that serves")


def _kill(processes: list[psutil.Process]) -> None:
    with suppress(psutil.NoSuchProcess):
        random.choice(processes).kill()


def _words(process: psutil.Process) -> list[str]:
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return process.cmdline()
    return []
