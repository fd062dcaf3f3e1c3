from collections.abc import Callable, Iterator, Sequence

import psycopg
import pytest

from tests.databases import TestDatabase


@pytest.fixture
def run_as_owner(committed_db: TestDatabase) -> Iterator[Callable[..., None]]:
    """Runs a statement as the one who owns the tables and may switch their triggers off."""
    with psycopg.connect(committed_db.url, autocommit=True) as owner:

        def run(statement: str, parameters: Sequence[object] | None = None) -> None:
            owner.execute(statement.encode(), parameters)

        yield run
