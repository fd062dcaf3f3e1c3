"""An upgrade from the oldest migrations to the newest beneath people who pay, in short."""

from django.core.management import call_command

from tests import factories
from tests.databases import TestDatabase
from tests.faults import figures, upgrade_drill
from tests.picture import assert_ledger_is_sound

TRANSFERS, PAYMENTS = 200, 50


def test_an_upgrade_from_the_oldest_migrations_loses_no_payment_and_refuses_none_for_good(
    committed_db: TestDatabase,
) -> None:
    for balance in ("50.00", "60.00", "70.00", "80.00"):
        factories.a_payer(balance, pin=None)
    upgrade_drill.open_transit()
    upgrade_drill.prepare(committed_db.url, transfers=TRANSFERS)

    done = upgrade_drill.upgrade(committed_db.url, call_command, payers=3, payments=PAYMENTS)

    for phase, found in done.paid.items():
        figures.note(f"upgrade {phase}: longest stall", max(found), "s")
    assert len(done.ids) >= 4 * PAYMENTS
    assert upgrade_drill.faults_of(committed_db.url, done) == []
    assert_ledger_is_sound()
    call_command("migrate", "--check", verbosity=0)
