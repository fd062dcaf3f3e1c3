"""kill -9 of everything there is while clients move money: nothing acknowledged is lost, nothing happens twice."""

import pytest

from tests.faults import figures
from tests.faults.conftest import Busy
from tests.faults.rig import KILLS, Rig

pytestmark = pytest.mark.processes

MOVES_BETWEEN = 15


def test_every_kind_of_process_killed_while_money_moves(rig: Rig, busy: Busy) -> None:
    with busy() as clients:
        for name, kill in KILLS.items():
            clients.more(MOVES_BETWEEN)
            recovered = clients.recovery_seconds(kill(rig))
            figures.note(f"kill -9 of {name}: first success after", recovered, "s")
            rig.serve()

    assert clients.moved() >= len(KILLS) * MOVES_BETWEEN


def test_everything_asked_to_end_under_load_drains_and_loses_nothing(rig: Rig, busy: Busy) -> None:
    said_before = len(rig.log("web"))
    with busy() as clients:
        clients.more(MOVES_BETWEEN)
        with figures.timed("SIGTERM under load: all ended after"):
            ended = rig.drain("web", "worker", "beat")
        rig.serve()
        clients.more(MOVES_BETWEEN)

    assert ended == {"web": 0, "worker": 0, "beat": 0}
    assert "Traceback" not in rig.log("web")[said_before:]
