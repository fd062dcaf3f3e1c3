"""The drill of back-up and restore: a site that moves money is copied, killed whole, and restored elsewhere.

    moves ── copy begins, ends ── moves ── seal, head exported ── moves ── T ── moves ── seal ── moves ── kill -9 of all
                                                                           │                                │
    restored to T: all that was acknowledged before T, nothing asked after it ┘                                │
    restored to the end, the old disk readable: all that was acknowledged ──────────────────────────────────┘
    restored to the end of the archive, the old disk lost: what was acknowledged before the last file that went there

Clients write down when they asked and when they were answered, on the server's clock. A commit bears its instant before it is
acknowledged, and recovery ends at the first commit later than T; so both sides of T are exact, and only what was on its way
at T may be there or not. What has no answer before T is sent again to the restored site, with its key.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from config.engines import Home, lifetime
from tests.faults import backups, checker
from tests.faults.backups import Archive
from tests.faults.clients import Clients
from tests.faults.rig import ENGINES, Rig
from tests.waiting import wait_until

KEYS = "SELECT key FROM superapp_idempotencykey WHERE answer IS NOT NULL"
RECOVERED_WITHIN_SECONDS = 600
TRANSACTIONS = "SELECT max(tx), pg_current_xact_id()::text::bigint FROM wallet_journalentry"


@dataclass(frozen=True)
class Crash:
    """A site that was killed, and what is known of it from outside."""

    instant: datetime
    """T: between the copy and the end."""

    head: str
    """Exported before T."""

    later_head: str
    """Exported after T."""

    killed_at: datetime


@dataclass
class Restored:
    """What one restoration came to: what is not as it should be, and how long each step took."""

    name: str
    broken: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    acknowledged: int = 0
    """Moves that were acknowledged before what was restored to."""

    lost: int = 0
    """Of them, those that are not there."""

    lost_seconds: float = 0
    """From the acknowledgement of the first lost one to the kill."""

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Times a step."""
        began = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - began


@dataclass(frozen=True)
class Request:
    """A line of a client's log: a request, with its first acknowledgement if there is one."""

    asked: dict[str, Any]
    answers: list[dict[str, Any]]

    def done_at(self) -> float | None:
        """When it was acknowledged first."""
        return min((line["at"] for line in self.answers if line["outcome"] == "done"), default=None)


def live_and_die(rig: Rig, archive: Archive, clients: Clients, *, moves: int, seconds: dict[str, float]) -> Crash:
    """So many moves before, between and after copy, T and the end; then kill -9 of everything. Clients are at work."""
    clients.more(moves)
    began = time.monotonic()
    backups.take(rig.home, archive)
    seconds["copy"], began = time.monotonic() - began, time.monotonic()
    backups.check(archive)
    seconds["check of the copy"] = time.monotonic() - began
    clients.more(moves)
    head = _sealed(rig)
    clients.more(moves)
    instant = datetime.now(UTC)
    clients.more(moves)
    later_head = _sealed(rig)
    clients.more(moves)
    rig.end_everything()
    killed_at = datetime.now(UTC)
    clients.pause()
    return Crash(instant=instant, head=head, later_head=later_head, killed_at=killed_at)


def restore_to_instant(rig: Rig, archive: Archive, crash: Crash, folder: Path, *, moves: int) -> Restored:
    """To T. Everything that was acknowledged before is there, nothing that was asked after; it serves and counts on."""
    found = Restored("to an instant")
    with _a_restored(rig, archive, found, folder, log_of=rig.home, until=crash.instant) as restored:
        requests = read_requests(rig.clients_folder)
        _compare_keys(restored, requests, found, until=crash.instant, asked_after_is_broken=True)
        _verify(restored, found, crash.head, missing=crash.later_head)
        _serve(restored, requests, found, until=crash.instant, moves=moves)
    return found


def restore_to_the_end(rig: Rig, archive: Archive, crash: Crash, folder: Path, *, moves: int) -> Restored:
    """To the last commit that is on the old server's disk: nothing that was acknowledged is lost."""
    found = Restored("to the end")
    with _a_restored(rig, archive, found, folder, log_of=rig.home) as restored:
        requests = read_requests(rig.clients_folder)
        _compare_keys(restored, requests, found, until=crash.killed_at)
        _verify(restored, found, crash.head, crash.later_head)
        _serve(restored, requests, found, until=crash.killed_at, moves=moves)
    if found.lost:
        found.broken.append(f"{found.lost} acknowledged moves are lost")
    return found


def restore_without_the_disk(rig: Rig, archive: Archive, crash: Crash, folder: Path) -> Restored:
    """From the archive alone. What is lost is what was acknowledged since its last file, and it is counted."""
    found = Restored("from the archive alone")
    with _a_restored(rig, archive, found, folder) as restored:
        _compare_keys(restored, read_requests(rig.clients_folder), found, until=crash.killed_at)
        _verify(restored, found)
    return found


def read_requests(folder: Path) -> dict[str, Request]:
    """Every request of the logs, by its key."""
    requests: dict[str, Request] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            said = json.loads(line)
            if "operation" in said:
                requests[said["key"]] = Request(said, [])
            else:
                requests[said["key"]].answers.append(said)
    return requests


@contextmanager
def _a_restored(
    rig: Rig,
    archive: Archive,
    found: Restored,
    folder: Path,
    *,
    log_of: Home | None = None,
    until: datetime | None = None,
) -> Iterator[Rig]:
    """The restored server with nobody at it, in `folder`; ended afterwards."""
    home = Home(folder / "l")
    with found.step("files"):
        backups.restore(archive, to=home, secrets_of=rig.home, log_of=log_of, until=until)
    with found.step("recovery"):
        lifetime.ensure_running(home, ENGINES)
        wait_until(lambda: _has_recovered(home), RECOVERED_WITHIN_SECONDS, what="the end of recovery")
    restored = Rig(folder, engines=home.folder)
    restored.world = rig.world
    try:
        with restored.owner() as session:
            [(last, next_one)] = session.execute(TRANSACTIONS)
        if not last < next_one:
            found.broken.append(f"transaction {next_one} follows {last}")
        yield restored
    finally:
        restored.close()


def _has_recovered(home: Home) -> bool:
    """While it recovers a server answers those who only read."""
    with psycopg.connect(home.database_url()) as session:
        return session.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)


def _compare_keys(
    restored: Rig,
    requests: dict[str, Request],
    found: Restored,
    *,
    until: datetime,
    asked_after_is_broken: bool = False,
) -> None:
    instant = until.timestamp()
    with restored.owner() as session:
        there = {key for (key,) in session.execute(KEYS)}
    acknowledged = {key: at for key, one in requests.items() if (at := one.done_at()) is not None and at <= instant}
    lost = [at for key, at in acknowledged.items() if key not in there]
    found.acknowledged, found.lost = len(acknowledged), len(lost)
    found.lost_seconds = instant - min(lost, default=instant)
    if asked_after_is_broken:
        found.broken += [
            f"{key} was acknowledged before the instant and is lost" for key in acknowledged.keys() - there
        ]
        after = {key for key, one in requests.items() if one.asked["at"] > instant}
        found.broken += [f"{key} was asked for after the instant and is there" for key in after & there]
        if not after:
            found.broken.append("nothing was asked for after the instant: nothing is shown")


def _verify(restored: Rig, found: Restored, *heads: str, missing: str = "") -> None:
    """Every invariant, and every head but the missing one, which must be named as such."""
    asked = [word for head in (*heads, *filter(None, [missing])) for word in ("--head", head)]
    with found.step("verification"):
        verified = restored.manage("verify_ledger", "--json", *asked, check=False)
    answer = verified.stdout.splitlines()
    findings = json.loads(answer[-1])["findings"] if answer else [verified.stderr[-2000:]]
    named = [finding for finding in findings if missing and missing.partition(":")[2] in str(finding)]
    found.broken += [f"verify_ledger: {finding}" for finding in findings if finding not in named]
    if missing and not named:
        found.broken.append("a head that was exported after the instant was not found missing")


def _serve(restored: Rig, requests: dict[str, Request], found: Restored, *, until: datetime, moves: int) -> None:
    """What was on its way gets its answer, new money moves, and then logs and database tell the same story to the cent."""
    began = time.monotonic()
    restored.meddler.start()
    restored.serve()
    clients = Clients(
        restored.world, port=restored.port, folder=restored.clients_folder, name="restored", count=4, seed=2
    )
    clients.clients[-1].unknown = _tell_until(requests, until.timestamp(), restored.clients_folder)
    for request in clients.clients[-1].unknown:
        clients.clients[-1].note(request)
    clients.start()
    try:
        clients.more(1)
        found.seconds["serving"] = time.monotonic() - began
        clients.more(moves)
    finally:
        clients.finish()
    checker.wait_until_final(restored)
    _sealed(restored)
    found.broken += checker.check(restored).broken


def _tell_until(requests: dict[str, Request], instant: float, folder: Path) -> list[dict[str, Any]]:
    """Writes a log of what was asked and answered by then; the requests that have no answer in it."""
    unanswered = []
    with (folder / "before.jsonl").open("w") as log:
        for request in requests.values():
            answers = [line for line in request.answers if line["at"] <= instant and line["outcome"] != "unknown"]
            if answers:
                log.writelines(json.dumps(line) + "\n" for line in (request.asked, *answers))
            elif request.asked["at"] <= instant:
                unanswered.append(request.asked)
    return unanswered


def _sealed(rig: Rig) -> str:
    """Seals what is new; the head."""
    return rig.manage("seal").stdout.splitlines()[-1]
