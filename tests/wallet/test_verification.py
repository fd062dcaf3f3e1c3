"""Rows changed by hand, by a superuser's means, with the triggers off: each is found and named."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection

from tests.wallet.ledger_world import World, a_ledger, faults
from wallet.ledger_checks import GUARDS
from wallet.models import Posting

Statement = str
OwnersHand = Callable[..., None]


@contextmanager
def _triggers_off(run_as_owner: OwnersHand) -> Iterator[None]:
    tables = ("wallet_posting", "wallet_journalentry", "wallet_account")
    for table in tables:
        run_as_owner(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    try:
        yield
    finally:
        for table in tables:
            run_as_owner(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def _findings() -> set[str]:
    return {finding.row for finding in faults()}


def _a_used_ledger() -> tuple[World, Posting]:
    world = a_ledger(balances=["100.00", "50.00"])
    for amount in ("10.00", "20.00", "30.00"):
        world.send(0, amount)
    return world, Posting.objects.get(account_id=world.wallets[0], sequence=3)


def test_an_untouched_ledger_has_no_findings(committed_db: None) -> None:
    _a_used_ledger()

    assert _findings() == set()


@pytest.mark.parametrize(
    "change",
    [
        "SET amount = -20.01",
        "SET amount = -19.99, balance_after = 70.01",
        "SET balance_after = 999",
        "SET sequence = 77",
        "SET effective_at = effective_at - interval '1 day'",
        "SET recorded_at = recorded_at - interval '1 day'",
        "SET recorded_at = recorded_at + interval '1 microsecond'",
        "SET tx = tx - 1",
        "SET subject = uuidv7()",
        "SET entry_id = uuidv7()",
        "SET account_id = uuidv7()",
        "SET asset_id = 999",
    ],
)
def test_a_posting_changed_by_hand_is_found_and_named(
    committed_db: None, run_as_owner: OwnersHand, change: str
) -> None:
    world, posting = _a_used_ledger()
    with _triggers_off(run_as_owner):
        run_as_owner(f"UPDATE wallet_posting {change} WHERE account_id = %s AND sequence = 3", [world.wallets[0]])

    found = _findings()

    assert found & {
        f"posting {world.wallets[0]}#3",
        f"posting {world.wallets[0]}#4",
        f"posting {world.wallets[0]}#77",
        f"entry {posting.entry_id}",
        f"account {world.wallets[0]}",
    }


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM wallet_posting WHERE account_id = %s AND sequence = 3",
        "DELETE FROM wallet_posting WHERE account_id = %s AND sequence = 4",
        "DELETE FROM wallet_journalentry e USING wallet_posting p WHERE p.entry_id = e.id AND p.account_id = %s",
        "UPDATE wallet_account SET balance = balance + 1 WHERE id = %s",
        "UPDATE wallet_account SET last_sequence = last_sequence + 1 WHERE id = %s",
        "UPDATE wallet_account SET held = 1 WHERE id = %s",
        "UPDATE wallet_account SET last_recorded_at = last_recorded_at - interval '1 hour' WHERE id = %s",
        "UPDATE wallet_account SET kind = 'savings' WHERE id = %s",
        "UPDATE wallet_journalentry e SET kind = 'top_up' FROM wallet_posting p "
        "WHERE p.entry_id = e.id AND p.account_id = %s AND p.sequence = 2",
        "UPDATE wallet_account SET scope = 'elsewhere' WHERE id = %s",
        "UPDATE wallet_account SET slot = 1 WHERE id = %s",
        "UPDATE wallet_account SET owner_id = NULL WHERE id = %s",
        "UPDATE wallet_journalentry e SET reverses_id = uuidv7() FROM wallet_posting p WHERE p.entry_id = e.id AND "
        "p.sequence = 3 AND p.account_id = %s",
        "INSERT INTO wallet_posting (account_id, sequence, entry_id, asset_id, amount, balance_after, subject, effective_at, "
        "recorded_at, tx) SELECT account_id, 5, entry_id, asset_id, -1, 39, subject, effective_at, recorded_at, tx "
        "FROM wallet_posting WHERE account_id = %s AND sequence = 4",
    ],
)
def test_other_changes_by_hand_are_found(committed_db: None, run_as_owner: OwnersHand, statement: str) -> None:
    world, _ = _a_used_ledger()
    with _triggers_off(run_as_owner):
        run_as_owner(statement, [world.wallets[0]])

    assert any(str(world.wallets[0]) in row or row.startswith("entry ") for row in _findings())


@pytest.mark.parametrize(
    ("statement", "row"),
    [
        ("UPDATE wallet_asset SET decimals = 4 WHERE code = 'CNY'", "asset CNY"),
        ("UPDATE wallet_account SET last_sequence = 1 WHERE kind = 'bank'", "account {bank}"),
        ("UPDATE wallet_account SET credit_limit = 1 WHERE kind = 'bank'", "account {bank}"),
        ("UPDATE wallet_account SET last_recorded_at = now() WHERE kind = 'bank'", "account {bank}"),
    ],
)
def test_changes_by_hand_of_what_the_system_owns_are_named(
    committed_db: None, run_as_owner: OwnersHand, statement: str, row: str
) -> None:
    world, _ = _a_used_ledger()
    run_as_owner(statement)

    assert _findings() == {row.format(bank=world.bank)}


def test_a_ledger_whose_transactions_are_ahead_of_the_servers_is_named(
    committed_db: None, run_as_owner: OwnersHand
) -> None:
    """So it stands after a restore from a dump into a new server, whose transactions count from the beginning."""
    _a_used_ledger()
    run_as_owner("UPDATE wallet_foldcheckpoint SET tx = tx + 1000000000000")
    with _triggers_off(run_as_owner):
        for table in ("journalentry", "posting"):
            run_as_owner(f"UPDATE wallet_{table} SET tx = tx + 1000000000000")

    assert "checkpoint" in _findings()
    assert any(row.startswith("entry ") for row in _findings())


def test_swapped_amounts_within_an_account_are_found(committed_db: None, run_as_owner: OwnersHand) -> None:
    world, _ = _a_used_ledger()
    with _triggers_off(run_as_owner):
        run_as_owner(
            "UPDATE wallet_posting SET amount = CASE sequence WHEN 2 THEN -20 ELSE -10 END "
            "WHERE account_id = %s AND sequence IN (2, 3)",
            [world.wallets[0]],
        )

    assert f"posting {world.wallets[0]}#2" in _findings()


def test_a_guard_switched_off_is_named(committed_db: None, run_as_owner: OwnersHand) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tgname, tgrelid::regclass::text FROM pg_trigger WHERE tgname = ANY(%s)", [list(GUARDS)])
        tables = dict(cursor.fetchall())
    for guard in GUARDS:
        run_as_owner(f"ALTER TABLE {tables[guard]} DISABLE TRIGGER {guard}")
        assert _findings() == {f"trigger {guard}"}
        run_as_owner(f"ALTER TABLE {tables[guard]} ENABLE TRIGGER {guard}")


@pytest.mark.parametrize(
    ("privilege", "table"),
    [
        ("UPDATE", "wallet_posting"),
        ("UPDATE (amount)", "wallet_posting"),
        ("DELETE", "wallet_posting"),
        ("TRUNCATE", "django_session"),
        ("DELETE", "payments_transfer"),
        ("DELETE", "superapp_policyversion"),
        ("UPDATE (value)", "superapp_policyversion"),
    ],
)
def test_what_the_sites_role_may_do_and_should_not_is_named(
    committed_db: None, run_as_owner: OwnersHand, privilege: str, table: str
) -> None:
    run_as_owner(f"GRANT {privilege} ON {table} TO superapp_site")

    assert _findings() == {f"table {table}"}


def test_the_command_names_what_it_finds_and_exits_with_one(committed_db: None, run_as_owner: OwnersHand) -> None:
    world, _ = _a_used_ledger()
    with _triggers_off(run_as_owner):
        run_as_owner(
            "UPDATE wallet_posting SET amount = -21 WHERE account_id = %s AND sequence = 3", [world.wallets[0]]
        )
    lines, document = StringIO(), StringIO()

    with pytest.raises(SystemExit) as exit_with:
        call_command("verify_ledger", stdout=lines)
    with pytest.raises(SystemExit):
        call_command("verify_ledger", "--json", stdout=document)

    assert exit_with.value.code == 1
    assert f"posting {world.wallets[0]}#3" in lines.getvalue()
    answer = json.loads(document.getvalue())
    assert answer["ok"] is False
    assert f"posting {world.wallets[0]}#3" in {finding["row"] for finding in answer["findings"]}


def test_the_command_is_silent_about_a_sound_ledger(committed_db: None) -> None:
    a_ledger(balances=["0"])
    document = StringIO()

    call_command("verify_ledger", "--json", stdout=document)

    answer = json.loads(document.getvalue())
    assert (answer["ok"], answer["findings"]) == (True, [])
    assert len(answer["checks"]) > 10
    with connection.cursor() as cursor:
        cursor.execute("SHOW transaction_read_only")
        assert cursor.fetchone() == ("off",)
