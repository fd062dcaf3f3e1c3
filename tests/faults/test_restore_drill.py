"""Back-up and restore, in short: a copy taken while money moves, everything killed, restored to an instant elsewhere."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import backups, figures, restore_drill
from tests.faults.backups import Archive
from tests.faults.conftest import Busy
from tests.faults.rig import Rig

pytestmark = pytest.mark.processes

MOVES = 10


@pytest.fixture
def archive(rig: Rig) -> Iterator[Archive]:
    """An archive of the rig's server, for as long as the test takes."""
    folder = Path(tempfile.mkdtemp(prefix="arc-", dir=rig.home.folder.parent))
    folder.chmod(0o755)
    archive = Archive(folder)
    backups.begin_archiving(rig.home, archive, every_seconds=60)
    rig.serve()
    yield archive
    backups.end_archiving(rig.home)
    shutil.rmtree(folder, ignore_errors=True)


def test_a_site_is_restored_to_an_instant_with_what_was_acknowledged_before_it_and_nothing_after(
    rig: Rig, archive: Archive, busy: Busy
) -> None:
    seconds: dict[str, float] = {}
    with busy() as clients:
        crash = restore_drill.live_and_die(rig, archive, clients, moves=MOVES, seconds=seconds)
        found = restore_drill.restore_to_instant(rig, archive, crash, archive.folder / "r", moves=MOVES)

    for step, taken in (seconds | found.seconds).items():
        figures.note(f"drill, {step}", taken, "s")
    assert found.broken == []
    assert found.acknowledged > 2 * MOVES
