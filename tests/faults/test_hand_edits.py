"""Each random edit of sealed rows is named; a world left alone gives no finding. Long version: `tests.faults.hand_edits`."""

from tests.faults import hand_edits
from tests.faults.edited_world import EditedWorld

EDITS, CLEAN_RUNS = 24, 3


def test_every_hand_edit_of_a_sealed_row_is_named_and_nothing_else(committed_db: None) -> None:
    world = EditedWorld()
    world.seal()

    made = hand_edits.edits(EDITS, seed=20130701)
    alarms = [alarm for number in range(CLEAN_RUNS) for alarm in world.alarms_after_more(number)]

    assert [(each.edit, each.missed) for each in made if each.missed] == []
    assert len({each.edit for each in made}) > 6
    assert alarms == []
