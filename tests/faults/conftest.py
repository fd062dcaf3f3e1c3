"""One rig for all tests that break a whole site: made when the first asks for it, ended with the session."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import pytest

from tests.faults import checker
from tests.faults.clients import Clients
from tests.faults.rig import Rig, a_rig


class Busy(Protocol):
    """A block during which so many clients move money."""

    def __call__(self, count: int = 8) -> AbstractContextManager[Clients]:
        """After it every request of the whole session is accounted for."""


@pytest.fixture(scope="session")
def shared_rig() -> Iterator[Rig]:
    """Engines, site and 64 people; it serves."""
    with a_rig() as rig:
        yield rig
        verified = rig.manage("verify_ledger", check=False)
        assert verified.returncode == 0, verified.stdout


@pytest.fixture
def rig(shared_rig: Rig) -> Iterator[Rig]:
    """The rig, well; what a test leaves broken is mended, so that the next one begins in good health."""
    shared_rig.serve()
    yield shared_rig
    shared_rig.proxy.heal()
    shared_rig.serve()


@pytest.fixture
def busy(rig: Rig, request: pytest.FixtureRequest) -> Busy:
    """Clients at work on the rig; what they were told is compared with the database when they have done."""

    @contextmanager
    def block(count: int = 8) -> Iterator[Clients]:
        clients = Clients(
            rig.world, port=rig.port, folder=rig.clients_folder, name=request.node.name, count=count, seed=1
        )
        clients.start()
        try:
            yield clients
        finally:
            rig.serve()
            clients.finish()
        checker.wait_until_final(rig)
        assert checker.compare(rig).broken == []

    return block
