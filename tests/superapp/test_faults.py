"""What the database says of itself, told from what it says of us."""

import psycopg
import pytest
from django.db import DatabaseError, InterfaceError, connection, transaction

from superapp.errors import Unavailable
from superapp.faults import is_outage
from superapp.idempotency import once
from superapp.models import IdempotencyKey, User
from tests.databases import TestDatabase
from tests.waiting import wait_until


def the_fault_of(statement: str, parameters: list[str]) -> DatabaseError:
    with pytest.raises(DatabaseError) as raised, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, parameters)
    return raised.value


def test_what_will_be_refused_the_next_time_too_is_no_outage(db: None) -> None:
    assert not is_outage(the_fault_of("SELECT nothing FROM nowhere", []))
    assert not is_outage(the_fault_of("SELECT %s::text", ["\x00"]))
    assert not is_outage(transaction.TransactionManagementError("a mistake of ours"))


def test_a_time_limit_of_the_session_is_an_outage(db: None) -> None:
    assert is_outage(the_fault_of("SET LOCAL statement_timeout = '1ms'; SELECT pg_sleep(3600)", []))
    assert is_outage(InterfaceError("connection already closed"))


def test_a_session_that_was_ended_for_idling_in_a_transaction_is_an_outage(committed_db: TestDatabase) -> None:
    person = User.objects.create_user(phone="+8613800138000")

    def dawdle() -> dict[str, str]:
        with connection.cursor() as cursor:
            cursor.execute("SET idle_in_transaction_session_timeout = '50ms'")
        process = connection.connection.info.backend_pid
        with psycopg.connect(committed_db.url, autocommit=True) as other:
            wait_until(
                lambda: other.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [process]).fetchone() is None,
                what="the end of the idle session",
            )
        return {"users": str(User.objects.count())}

    with pytest.raises(Unavailable):
        once(user_id=person.pk, operation="pay", key="k", request={}, act=dawdle)
    connection.close()
    assert not IdempotencyKey.objects.exists()
