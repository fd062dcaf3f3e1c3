from collections.abc import Iterator

import pytest
from pytest_django import DjangoDbBlocker

from tests.databases import TestDatabase, cloned


@pytest.fixture(scope="module")
def module_db(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[TestDatabase]:
    """One database for all tests of a module: they commit, and each looks only at what is its own."""
    with django_db_blocker.unblock(), cloned() as database:
        yield database
