"""The drills that operators are promised, each on engines of its own in `.local/`: back-up, restore to an instant, upgrade.

    python -m tests.faults.drill                                all of them, as `make drill` does
    python -m tests.faults.drill restore --moves 1000           moves between two steps of the story
    python -m tests.faults.drill upgrade --transfers 500000     what is there before the upgrade

Prints what each step took; the last line is one JSON object. Exit code 0: every move that had to be there was there, and no
other, `verify_ledger` found nothing, the restored sites served, and nobody who paid during the upgrade waited for two seconds.
What is drilled, and what is not, is in docs/operations.md.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config.engines.home import CHECKOUT
from config.sandbox_secrets import make_folder
from tests.databases import TestDatabase
from tests.faults import backups, restore_drill, upgrade_drill
from tests.faults.backups import Archive
from tests.faults.clients import Clients
from tests.faults.restore_drill import Restored
from tests.faults.rig import Rig
from tests.site import Site

CLIENTS, PAYERS, PAYMENTS = 8, 4, 500
ARCHIVE_SECONDS = 5
"""So that the archive has something of the minute that the drill takes; the page's is a minute."""

HELD_SECONDS = 3.0
STALL_SECONDS = 2.0
UPGRADED = "superapp_upgraded"


def main() -> int:
    """Parses, drills, prints; the exit code."""
    parser = argparse.ArgumentParser(description="Back up, restore and upgrade a site that is at work.")
    parser.add_argument("what", nargs="?", choices=["restore", "upgrade", "all"], default="all")
    parser.add_argument("--moves", type=int, default=200, help="moves between two steps of the back-up's story")
    parser.add_argument("--transfers", type=int, default=50_000, help="transfers before the upgrade")
    given = parser.parse_args()
    broken: list[str] = []
    figures: dict[str, object] = {}
    with _a_folder() as folder:
        if given.what != "upgrade":
            broken += _restores(folder, figures, moves=given.moves)
        if given.what != "restore":
            broken += _upgrade(folder, figures, transfers=given.transfers)
    for line in broken[:50]:
        _say(f"  BROKEN: {line}")
    _say(json.dumps({**figures, "broken": len(broken)}))
    return 1 if broken else 0


def _restores(folder: Path, figures: dict[str, object], *, moves: int) -> list[str]:
    archive, seconds = Archive(folder / "a"), dict[str, float]()
    rig = Rig(_made(folder / "s"))
    try:
        rig.make_world()
        backups.begin_archiving(rig.home, archive, every_seconds=ARCHIVE_SECONDS)
        rig.serve()
        _say(f"a site with an archive serves at {rig.url}; {CLIENTS} clients move money")
        clients = Clients(rig.world, port=rig.port, folder=rig.clients_folder, name="drill", count=CLIENTS, seed=1)
        clients.start()
        try:
            crash = restore_drill.live_and_die(rig, archive, clients, moves=moves, seconds=seconds)
        finally:
            clients.pause()
        _say(f"{clients.moved()} moves acknowledged; everything was killed")
        few = max(1, moves // 4)
        restored = [
            restore_drill.restore_to_instant(rig, archive, crash, _made(folder / "1"), moves=few),
            restore_drill.restore_to_the_end(rig, archive, crash, _made(folder / "2"), moves=few),
            restore_drill.restore_without_the_disk(rig, archive, crash, _made(folder / "3")),
        ]
    finally:
        rig.close()
    _tell_steps("copied", seconds)
    for found in restored:
        lost = f"{found.acknowledged} acknowledged before, {found.lost} lost ({found.lost_seconds:.1f} s)"
        _tell_steps(f"restored {found.name}: {lost}, {sum(found.seconds.values()):.2f} s in all", found.seconds)
    figures["copy_seconds"] = round(seconds["copy"], 2)
    figures["restores"] = {found.name: _figures_of(found) for found in restored}
    return [f"{found.name}: {fault}" for found in restored for fault in found.broken]


def _figures_of(found: Restored) -> dict[str, object]:
    return {
        "acknowledged": found.acknowledged,
        "lost": found.lost,
        "lost_seconds": round(found.lost_seconds, 2),
        "seconds": round(sum(found.seconds.values()), 2),
    }


def _upgrade(folder: Path, figures: dict[str, object], *, transfers: int) -> list[str]:
    rig = Rig(_made(folder / "u"))
    try:
        rig.make_world()
        rig.meddler.stop()
        with rig.owner() as owner:
            owner.execute(f"CREATE DATABASE {UPGRADED} TEMPLATE superapp")
        url = rig.home.database_url(UPGRADED)
        site = Site(TestDatabase(name=UPGRADED, url=url), folder, local=rig.home, pair=(0, 1))
        site.run("-m", "tests.faults.upgrade_drill")
        began = time.monotonic()
        upgrade_drill.prepare(url, transfers=transfers)
        _say(f"{transfers} transfers written in {time.monotonic() - began:.1f} s; the upgrade begins")
        done = upgrade_drill.upgrade(url, site.manage, payers=PAYERS, payments=PAYMENTS, held_seconds=HELD_SECONDS)
        faults = upgrade_drill.faults_of(url, done)
        verified = site.manage("verify_ledger", check=False)
    finally:
        rig.close()
    if verified.returncode:
        faults.append(f"verify_ledger: {verified.stdout[-2000:]}{verified.stderr[-2000:]}")
    if done.longest_stall >= STALL_SECONDS:
        faults.append(f"a payment waited {done.longest_stall:.2f} s during the upgrade")
    _tell_steps(f"upgraded over {done.transfers} transfers", done.seconds)
    for phase, paid in done.paid.items():
        waits = f"{len(paid)} payments, the longest took {max(paid):.2f} s, {done.refused[phase]} refused on the way"
        _say(f"  {phase}: {waits}; migrate was run {done.tries[phase]} times")
    figures["upgrade_longest_stall_seconds"] = round(done.longest_stall, 3)
    figures["upgrade_stop_seconds"] = round(done.seconds[upgrade_drill.STOP], 2)
    return faults


def _tell_steps(title: str, seconds: dict[str, float]) -> None:
    _say(title)
    for step, taken in seconds.items():
        _say(f"  {step:<34}{taken:8.2f} s")


@contextmanager
def _a_folder() -> Iterator[Path]:
    """On the disk where the embedded engines are, with a short path; removed afterwards."""
    local = CHECKOUT / ".local"
    make_folder(local, 0o755)
    folder = Path(tempfile.mkdtemp(prefix="drill-", dir=local))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _made(folder: Path) -> Path:
    folder.mkdir(mode=0o755)
    return folder


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201  a command's output


if __name__ == "__main__":
    sys.exit(main())
