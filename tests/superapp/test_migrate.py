"""`manage.py migrate` beside a site at work: it waits for nobody for long, and goes on where it gave up."""

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from superapp.management.commands import migrate
from tests.databases import TestDatabase

INDEX_IS_VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('transfer_due_in_lane')"


def _index_is_valid() -> bool | None:
    with connection.cursor() as cursor:
        cursor.execute(INDEX_IS_VALID)
        row = cursor.fetchone()
        return None if row is None else bool(row[0])


def test_a_migration_that_gave_up_with_half_an_index_goes_on_when_it_is_run_again(
    committed_db: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    call_command("migrate", "payments", "0002", verbosity=0)
    assert _index_is_valid() is None

    with monkeypatch.context() as hurried, psycopg.connect(committed_db.url) as somebody:
        hurried.setattr(migrate, "LOCK_TIMEOUT", "50ms")
        somebody.execute("INSERT INTO payments_transfer SELECT * FROM payments_transfer WHERE false")
        for _ in range(2):
            with pytest.raises(CommandError, match="run migrate again"):
                call_command("migrate", "payments", verbosity=0)
            assert _index_is_valid() is False

    call_command("migrate", verbosity=0)
    assert _index_is_valid() is True


def test_an_unfinished_index_is_left_alone_by_who_only_looks(committed_db: TestDatabase) -> None:
    call_command("migrate", "payments", "0002", verbosity=0)
    with psycopg.connect(committed_db.url, autocommit=True) as owner:
        owner.execute("CREATE INDEX transfer_due_in_lane ON payments_transfer (due_at)")

    call_command("migrate", "--plan", verbosity=0)

    assert _index_is_valid() is True
