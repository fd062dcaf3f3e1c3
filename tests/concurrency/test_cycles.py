"""Opposite directions and rings from many connections at once, for a moment. For a minute: `tests.concurrency.cycles`."""

from tests.concurrency import cycles
from tests.databases import TestDatabase
from tests.own_flows import own_flows
from tests.wallet.ledger_world import faults


def test_no_deadlock_reaches_a_caller_whichever_way_money_goes_round(committed_db: TestDatabase) -> None:
    with own_flows():
        tally = cycles.run(seconds=3, connections_count=32)
        assert faults() == []
    assert dict(tally.faults) == {}
    assert set(tally.calls) == {"sent", "settled", "posted", "posted in sets"}
    assert tally.deadlocks == 0
