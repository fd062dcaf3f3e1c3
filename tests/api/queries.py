"""How many questions to the database something costs."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from django.test.utils import CaptureQueriesContext


@contextmanager
def count_queries() -> Iterator[CaptureQueriesContext]:
    """The statements within; `len()` of what is given is their number.

    with count_queries() as queries:
        ...
    assert len(queries) == 2
    """
    with CaptureQueriesContext(connection) as queries:
        yield queries


@contextmanager
def costs_queries(most: int) -> Iterator[None]:
    """Fails, showing the statements, when more than `most` are made within."""
    with count_queries() as queries:
        yield
    made = [query["sql"] for query in queries.captured_queries]
    assert len(made) <= most, f"{len(made)} statements, at most {most} allowed:\n" + "\n".join(made)
