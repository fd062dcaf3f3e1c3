"""Each check of the ledger finds what it is for: by its own look, whatever the other checks would have found of the same edit.

`test_verification.py` shows that an edit by hand does not go unnoticed; here, that no check could be taken out without notice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from textwrap import shorten
from typing import cast
from uuid import UUID

import psycopg
import pytest
from django.db import transaction
from django.db.backends.utils import CursorWrapper
from pytest_django import DjangoDbBlocker

from payments.flows import TRANSFER_SENT
from superapp.ids import uuid7
from tests.databases import cloned
from tests.factories import an_operator
from tests.wallet.sealed_world import a_sealed_ledger, seal_all
from wallet import ledger, reversals
from wallet.holds import PlaceHold
from wallet.ledger import Plan
from wallet.verification import LEDGER, Check, all_checks

WITHOUT_GUARDS = r"""
    DO $$ DECLARE t record; c record; BEGIN
        FOR t IN SELECT oid::regclass AS place FROM pg_class WHERE relkind = 'r' AND relname LIKE 'wallet\_%' LOOP
            EXECUTE format('ALTER TABLE %s DISABLE TRIGGER USER', t.place);
        END LOOP;
        FOR c IN SELECT conrelid::regclass AS place, conname FROM pg_constraint
                 WHERE contype = 'c' AND coninhcount = 0 AND conrelid::regclass::text LIKE 'wallet\_%' LOOP
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.place, c.conname);
        END LOOP;
    END $$
"""
"""For this transaction: no trigger fires, no CHECK holds. So an edit breaks just the rule it is to break."""

GUARDS_ARE_THERE = "I20"

ACCOUNT = "UPDATE wallet_account SET {} WHERE id = %(wallet)s"
POSTING = "UPDATE wallet_posting SET {} WHERE account_id = %(wallet)s AND sequence = 2"
HOLD = "UPDATE wallet_hold SET {} WHERE account_id = %(wallet)s"

EDITS = {
    "a currency has the decimals of its minor unit": "UPDATE wallet_asset SET decimals = 4 WHERE code = 'CNY'",
    "an inline account is a person's, and a folded one carries nothing that only a person's does": ACCOUNT.format(
        "owner_id = NULL"
    ),
    "each account is of a declared kind, folded as its kind says": ACCOUNT.format("kind = 'savings'"),
    "each entry has postings": "DELETE FROM wallet_posting WHERE entry_id = %(entry)s",
    "each entry sums to zero per asset": POSTING.format("amount = amount - 0.01"),
    "each posting agrees with its entry on times, transaction and subject's owner": POSTING.format(
        "effective_at = effective_at - interval '1 day'"
    ),
    "each posting fits its entry's row of the flow table": (
        "UPDATE wallet_journalentry SET kind = 'top_up' WHERE id = %(entry)s"
    ),
    "each posting is on an account of its asset, exact to the minor unit": POSTING.format("amount = amount - 0.001"),
    "all balances of an asset sum to zero": ACCOUNT.format("balance = balance + 1"),
    "all postings of an asset sum to zero": POSTING.format("amount = amount - 0.01"),
    "each balance is the sum of its postings": ACCOUNT.format("balance = balance + 1"),
    "no transaction is one that this server has not begun, or balances of folded accounts would pass over the next ones": (
        "UPDATE wallet_foldcheckpoint SET tx = tx + 1000000000000"
    ),
    "an inline account's postings are numbered from 1 without a gap, up to its last": POSTING.format("sequence = 77"),
    "an account's last recorded time is not before its last posting's": ACCOUNT.format(
        "last_recorded_at = last_recorded_at - interval '1 hour'"
    ),
    "each posting's balance after is the one before plus its amount, and its recorded time never falls": POSTING.format(
        "balance_after = 999"
    ),
    "what is held is the sum of the open holds' remainders": ACCOUNT.format("held = held + 1"),
    "no balance was ever below what the account may owe": POSTING.format("balance_after = -0.01"),
    "captured + released + lapsed + remaining = hold": HOLD.format("captured = captured + 1"),
    "a hold ended once, by what its amounts show": HOLD.format("state = 'captured'"),
    "a reversal is its original turned round, and there is at most one": (
        "UPDATE wallet_posting SET amount = 2 * amount WHERE entry_id = %(reversal)s"
    ),
    "an entry that takes another back names it": (
        "UPDATE wallet_journalentry SET reverses_id = NULL WHERE id = %(reversal)s"
    ),
    "the database's own guards are in place": "ALTER TABLE wallet_posting DISABLE TRIGGER postings_are_in_balance",
    "the slots of a place of capacity share its total, or what was used when that was lowered": (
        "INSERT INTO wallet_capacity (kind, scope, slot, ceiling, used, total, ruled_at) "
        "VALUES ('seats', '', 0, 50, 10, 100, now())"
    ),
    "usage is what the postings of its kinds add up to, on the business day that counts": (
        "UPDATE wallet_usage SET amount = amount + 1 WHERE account_id = %(wallet)s"
    ),
    "every sealed entry and posting is as it was sealed": POSTING.format("subject = uuidv7()"),
    "each seal is whole and follows the one before": "UPDATE wallet_seal SET entries = entries + 1",
    "an account is frozen while it has an open case, and only then": ACCOUNT.format("frozen = true"),
}
"""By a check's rule, the smallest edit by hand that breaks it."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed ledger: whose database, and the rows that the edits name."""

    url: str
    rows: dict[str, UUID]


@pytest.fixture(scope="module")
def sealed(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Sealed]:
    """Top-ups, payments, a hold, a reversal, all of it sealed; made once, for every edit is rolled back."""
    with django_db_blocker.unblock(), cloned() as database:
        world = a_sealed_ledger()
        entry = world.send(0, "1.00").entry_id
        hold = PlaceHold(account=world.wallets[0], hold_id=uuid7(), amount=Decimal(1), subject=uuid7())
        wrong = world.top_up(1, "2.00").entry_id
        asked = reversals.request(entry_id=wrong, reason="Booked twice.", by=an_operator("Asker"))
        reversal = reversals.approve(request_id=asked.pk, by=an_operator("Checker")).reversal_id
        assert reversal
        with transaction.atomic():
            ledger.post(Plan(kind=TRANSFER_SENT, subject=uuid7(), legs=[], holds=[hold]))
        seal_all()
        yield Sealed(database.url, {"wallet": world.wallets[0], "entry": entry, "wrong": wrong, "reversal": reversal})


def checks_of_the_ledger() -> list[Check]:
    return [check for check in all_checks() if check.area == LEDGER]


def test_every_check_of_the_ledger_has_its_edit() -> None:
    assert {check.rule for check in checks_of_the_ledger()} == set(EDITS)


def in_short(check: Check) -> str:
    """The number and the first words of the rule; `tests/held_rules/held.toml` names a check's case by them."""
    return shorten(f"{check.invariant} {check.rule}", width=60, placeholder="")


@pytest.mark.parametrize("check", checks_of_the_ledger(), ids=in_short)
def test_a_check_finds_the_edit_that_breaks_its_rule_and_nothing_before(db: None, sealed: Sealed, check: Check) -> None:
    with psycopg.connect(sealed.url) as owner:
        cursor = cast(CursorWrapper, owner.cursor())
        assert list(check.look(cursor)) == []
        if check.invariant != GUARDS_ARE_THERE:
            owner.execute(WITHOUT_GUARDS)
        owner.execute(EDITS[check.rule], sealed.rows)

        assert list(check.look(cursor))
        owner.rollback()


def test_an_entry_that_was_taken_back_twice_is_named_though_each_reversal_turns_it_round(
    db: None, sealed: Sealed
) -> None:
    (once,) = (check for check in checks_of_the_ledger() if check.rule.endswith("and there is at most one"))
    rows = {**sealed.rows, "again": uuid7()}
    with psycopg.connect(sealed.url) as owner:
        cursor = cast(CursorWrapper, owner.cursor())
        owner.execute(WITHOUT_GUARDS)
        owner.execute("DROP INDEX an_entry_is_reversed_once")
        for table, entry, changed in (
            ("wallet_journalentry", "id", "'id', %(again)s::uuid"),
            ("wallet_posting", "entry_id", "'entry_id', %(again)s::uuid, 'sequence', t.sequence + 1000000"),
        ):
            owner.execute(
                f"INSERT INTO {table} SELECT (jsonb_populate_record(t, jsonb_build_object({changed}))).* "
                f"FROM {table} t WHERE {entry} = %(reversal)s",
                rows,
            )

        assert list(once.look(cursor)) == [(f"entry {rows['wrong']}", "it was reversed 2 times")]
        owner.rollback()
