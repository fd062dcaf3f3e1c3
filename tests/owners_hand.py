"""The owner of the database, who may do to its rows what the site's role may not: for what no code of the site writes."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def the_owners_hand() -> Iterator[None]:
    """What the block does on this thread's connection is done by the owner; what it fails at is rolled back by its caller."""
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE")
    yield
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE superapp_site")
