"""The real ledger beside the pure one, under whatever a state machine can think of (I1-I8, I10, I13, I14, I19).

A longer run: `LEDGER_MACHINE_EXAMPLES=2000 pytest tests/properties/test_ledger_machine.py`; its examples are new each time.
"""

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.databases import TestDatabase
from tests.interleaving import actors
from tests.own_flows import own_flows
from tests.properties.ledger_machine import LedgerMachine

EXAMPLES_OF_THE_SUITE = 25
ASKED_FOR = os.environ.get("LEDGER_MACHINE_EXAMPLES")


@pytest.mark.timeout(0)
def test_the_ledger_does_what_the_pure_one_does(committed_db: TestDatabase) -> None:
    profile = settings(
        max_examples=int(ASKED_FOR or EXAMPLES_OF_THE_SUITE),
        stateful_step_count=25,
        derandomize=not ASKED_FOR,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    with own_flows(), actors(1) as (LedgerMachine.late,):
        run_state_machine_as_test(LedgerMachine, settings=profile)
