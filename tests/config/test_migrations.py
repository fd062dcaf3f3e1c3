"""Migrations go back and forth: each reverse is run, on data, and what comes of the way back and forth is the same database."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from payments import settlement
from superapp import roles
from tests.config.test_grants import GRANTED_SQL
from tests.factories import a_payer, a_transfer
from tests.funds import scenes
from tests.wallet.ledger_world import taken_back
from wallet import sealing
from wallet.models import Account, JournalEntry, Usage
from wallet.verification import verify

OURS = ("superapp", "wallet", "payments", "funds")
FIRST = {"superapp": "0001_initial", "wallet": "0002_ledger_rules", "payments": "0001_initial", "funds": "0001_initial"}
"""Whoever goes back further has no ledger left."""

STRUCTURE_SQL = f"""
    SELECT 'column', a.attrelid::regclass::text, a.attname, concat_ws(' ', format_type(a.atttypid, a.atttypmod), a.attnotnull,
           a.attidentity, a.attstorage, pg_get_expr(d.adbin, d.adrelid))
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid AND c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attnum > 0 AND NOT a.attisdropped
    UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid) || convalidated
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
    UNION ALL SELECT 'index', tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) || tgenabled::text
    FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT 'function', '', proname, pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT 'options', '', relname, relkind::text || coalesce(reloptions::text, '')
    FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S')
    UNION ALL SELECT 'grants', '', g.* FROM (
        SELECT relname, concat_ws(' ', letters, columns) FROM ({GRANTED_SQL}) x (relname, letters, columns)) g
"""


def _structure() -> set[tuple[str, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(STRUCTURE_SQL)
        return set(cursor.fetchall())


def _migrate(targets: Sequence[tuple[str, str]]) -> None:
    with roles.as_owner():
        MigrationExecutor(connection).migrate(list(targets))


def _back_and_forth(to: dict[str, str]) -> Iterator[str]:
    """Goes back to what is named of each app, yields each migration that was undone on the way, and comes forward again."""
    leaves = [node for node in MigrationExecutor(connection).loader.graph.leaf_nodes() if node[0] in OURS]
    before = set(MigrationExecutor(connection).loader.applied_migrations)
    _migrate(list(to.items()))
    yield from (f"{app}.{name}" for app, name in before - set(MigrationExecutor(connection).loader.applied_migrations))
    _migrate(leaves)


def _ours() -> set[str]:
    return {f"{app}.{name}" for app, name in MigrationExecutor(connection).loader.graph.nodes if app in OURS}


@pytest.fixture
def used(committed_db: None) -> JournalEntry:
    """Money has come in, gone on, been taken back, become shares, been sealed; answers the entry that was taken back."""
    ann, ben = a_payer("100.00"), a_payer("7.00")
    a_transfer(ann, ben, "10.00")
    settlement.settle_everything_due()
    booked_twice = JournalEntry.objects.filter(kind="top_up").latest("id")
    scenes.a_fund("2013-07-02")
    sealing.seal()
    return booked_twice


def test_migrations_go_back_and_forth_over_what_is_stored(used: JournalEntry) -> None:
    back, before = taken_back(used.pk), _structure()
    wallets = sorted(Account.objects.filter(kind="wallet").values_list("balance", flat=True))

    undone = set(_back_and_forth(FIRST))

    assert undone == _ours() - {f"{app}.{name}" for app, name in FIRST.items()} - {"wallet.0001_initial"}
    assert _structure() == before
    assert sorted(Account.objects.filter(kind="wallet").values_list("balance", flat=True)) == wallets
    assert Usage.objects.get().amount == Decimal(10)
    found = {(each.invariant, each.row) for findings in verify().values() for each in findings}
    assert found == {("I10", f"entry {back}")}, "the requests went with their table; what they had approved is named"
