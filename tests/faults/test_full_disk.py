"""The disk full under PostgreSQL while clients move money: nothing acknowledged is lost, and the site comes back by itself.

A disk that can be filled must be mounted, which only root may.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from config.engines import EngineError, lifetime
from tests.faults import checker, figures
from tests.faults.clients import Clients
from tests.faults.rig import ENGINES, Rig, a_rig
from tests.waiting import wait_until

pytestmark = pytest.mark.processes

DISK = "600m"
REFUSALS = 5


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A folder on a disk of its own that can be full."""
    folder = Path(tempfile.mkdtemp(prefix="disk-"))
    folder.chmod(0o755)
    mounted = os.geteuid() == 0 and not _mount(folder)
    try:
        if not mounted:
            pytest.skip("mounting a small disk needs root and the right to mount")
        yield folder
    finally:
        if mounted:
            subprocess.run([shutil.which("umount") or "/bin/umount", str(folder)], check=True)
        shutil.rmtree(folder, ignore_errors=True)


def _mount(folder: Path) -> int:
    mount = shutil.which("mount")
    if mount is None:
        return 1
    return subprocess.run(
        [mount, "-t", "tmpfs", "-o", f"size={DISK},mode=0755", "tmpfs", str(folder)], capture_output=True, check=False
    ).returncode


def _fill(folder: Path) -> Path:
    """Takes every byte that is left, in steps: others take of it at the same time."""
    ballast, taken = folder / "ballast", 0
    with ballast.open("wb") as file:
        for step in (2**20, 2**12):
            with suppress(OSError):  # no space left
                while True:
                    os.posix_fallocate(file.fileno(), taken, step)
                    taken += step
    return ballast


def _look_after(rig: Rig) -> bool:
    """What `make run` does every half second: starts an engine that has ended."""
    try:
        lifetime.ensure_running(rig.home, ENGINES)
    except EngineError:
        return False
    return True


def test_a_full_disk_loses_nothing_and_the_site_comes_back_when_there_is_room(small_disk: Path) -> None:
    with a_rig(engines=small_disk / "l") as rig:
        clients = Clients(rig.world, port=rig.port, folder=rig.clients_folder, name="full", count=8, seed=1)
        clients.start()
        try:
            clients.more(20)
            ballast = _fill(small_disk)
            wait_until(lambda: clients.unknown_because["UNAVAILABLE"] >= REFUSALS, what="the disk to be full")
            ballast.unlink()
            with figures.timed("disk full: first success after there was room"):
                wait_until(lambda: _look_after(rig), what="the engines")
                clients.more(1)
            clients.more(20)
        finally:
            (small_disk / "ballast").unlink(missing_ok=True)
            rig.serve()
            clients.finish()
        checker.wait_until_final(rig)
        verdict = checker.check(rig)

    assert verdict.broken == []
    assert verdict.acknowledged > 40
