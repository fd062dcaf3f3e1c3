"""Each money operation, broken at each of its statements: one effect or none, and a connection that is clean for the next.

The steps are not listed by hand: an undisturbed run of an operation is listened to, and every statement it makes becomes a
step at which it is broken, once by ending its session, once by the session's time limit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.db import OperationalError, close_old_connections, connection

from payments import settlement, transfers
from payments.payees import Payee
from superapp.errors import Unavailable
from superapp.models import User
from tests.databases import TestDatabase
from tests.factories import PIN, a_payer, a_person, a_transfer
from tests.picture import assert_ledger_is_sound, picture
from wallet import bank_callbacks, top_ups
from wallet.models import Account, TopUp

Breaker = Callable[[str], None]
"""Breaks the session of the default connection; is told the URL of its database."""


def end_the_session(url: str) -> None:
    """What a crash of the server, or an operator, does to a session."""
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.connection.info.backend_pid])


def run_out_of_time(url: str) -> None:
    """What the session's own limit does to a statement: the server ends it, and the transaction with it."""
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = '1ms'")
        try:
            cursor.execute("SELECT pg_sleep(5)")
        finally:
            if connection.get_autocommit():
                cursor.execute("RESET statement_timeout")


class StepBreaker:
    """Counts an operation's statements, and breaks the session before the one it is told to, if any."""

    def __init__(self, fault: Breaker | None = None, *, at: int = -1, url: str = "") -> None:
        self.fault, self.at, self.url = fault, at, url
        self.statements: list[str] = []
        self.busy = False

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if self.busy:
            return execute(sql, params, many, context)
        self.statements.append(sql)
        if self.fault is not None and len(self.statements) == self.at:
            self.busy = True
            try:
                self.fault(self.url)
            finally:
                self.busy = False
        return execute(sql, params, many, context)


@dataclass(frozen=True)
class Case:
    """One operation in a world of its own: the act, which may be done again, and what it must come to, once."""

    act: Callable[[], object]
    people: list[User]
    comes_to: list[str]
    """The people's balances once it is done."""
    error: type[Exception]

    def assert_done_once(self) -> None:
        """The whole effect, once: the balances, and one top-up for the one person who asks for one."""
        assert TopUp.objects.filter(owner=self.people[0]).count() == 1
        owned = [Account.objects.filter(owner=person).first() for person in self.people]
        assert [str(account.balance) if account else "none" for account in owned] == self.comes_to


def _sending() -> Case:
    ann, ben, key = a_payer("100.00"), a_person(), str(uuid4())
    return Case(
        act=lambda: transfers.send_money(
            sender_id=ann.pk, to=Payee(id=ben.pk), amount=Decimal("40.00"), currency="CNY", note="", pin=PIN, key=key
        ),
        people=[ann, ben],
        comes_to=["60.0000", "0.0000"],
        error=Unavailable,
    )


def _topping_up() -> Case:
    ann, key = a_payer("0"), str(uuid4())
    return Case(
        act=lambda: top_ups.top_up(owner_id=ann.pk, amount=Decimal("40.00"), currency="CNY", key=key),
        people=[ann],
        comes_to=["0.0000"],
        error=Unavailable,
    )


def _hearing_the_bank() -> Case:
    ann = a_payer("0")
    asked = top_ups.top_up(owner_id=ann.pk, amount=Decimal("40.00"), currency="CNY", key=str(uuid4()))
    return Case(
        act=lambda: bank_callbacks.record_callback(
            rail="sandbox",
            reference=f"B-{asked.top_up_id}",
            instruction=str(asked.top_up_id),
            status="confirmed",
            amount=Decimal("40.00"),
            currency="CNY",
        ),
        people=[ann],
        comes_to=["40.0000"],
        error=OperationalError,
    )


def _settling() -> Case:
    ann, ben = a_payer("100.00"), a_payer("0")
    for _ in range(3):
        a_transfer(ann, ben)
    return Case(act=settlement.settle_due, people=[ann, ben], comes_to=["70.0000", "30.0000"], error=OperationalError)


def _refusing() -> Case:
    ann, ben = a_payer("100.00"), a_payer("0")
    a_transfer(ann, ben)
    Account.objects.filter(owner=ben).update(closed=True)
    return Case(act=settlement.settle_due, people=[ann, ben], comes_to=["90.0000", "0.0000"], error=OperationalError)


def _sending_back() -> Case:
    refused = _refusing()
    settlement.settle_due()
    return Case(
        act=settlement.return_refused,
        people=refused.people,
        comes_to=["100.0000", "0.0000"],
        error=OperationalError,
    )


OPERATIONS = {
    "sending money": _sending,
    "topping up": _topping_up,
    "hearing the bank": _hearing_the_bank,
    "settling": _settling,
    "settling what is refused": _refusing,
    "sending back": _sending_back,
}


def _steps_of(case: Case) -> int:
    listening = StepBreaker()
    with connection.execute_wrapper(listening):
        case.act()
    case.assert_done_once()
    return len(listening.statements)


def _assert_the_connection_is_clean() -> None:
    close_old_connections()
    assert not connection.in_atomic_block
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
            "WHERE l.locktype = 'advisory' AND d.datname = current_database()"
        )
        assert cursor.fetchone() == (0,)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("fault", [end_the_session, run_out_of_time])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_broken_at_any_of_its_steps_did_nothing_and_done_again_does_all_of_it_once(
    committed_db: TestDatabase, operation: str, fault: Breaker
) -> None:
    prepare = OPERATIONS[operation]
    prepare().act()  # what is asked of the database only the first time
    for step in range(1, _steps_of(prepare()) + 1):
        case = prepare()
        before = picture()
        breaker = StepBreaker(fault, at=step, url=committed_db.url)

        with pytest.raises(case.error), connection.execute_wrapper(breaker):
            case.act()

        _assert_the_connection_is_clean()
        assert picture() == before, f"step {step}: {breaker.statements[-1]}"
        case.act()
        case.assert_done_once()
    assert_ledger_is_sound()
