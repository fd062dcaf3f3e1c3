"""A database is a sandbox's or production's, and never the other."""

from datetime import timedelta

import pytest
from django.core.checks import run_checks
from django.db import IntegrityError, connection, transaction
from pytest_django import Settings

from superapp import installation
from superapp.models import Installation
from tests.databases import TestDatabase
from tests.owners_hand import the_owners_hand


@pytest.mark.django_db
@pytest.mark.parametrize("sandbox", [True, False])
def test_a_database_is_born_in_the_sites_mode_and_stays_so(settings: Settings, sandbox: bool) -> None:
    settings.SUPERAPP_SANDBOX = sandbox
    with the_owners_hand():
        Installation.objects.all().delete()
        assert installation.settle().mode == ("sandbox" if sandbox else "production")
    assert installation.settle().mode == ("sandbox" if sandbox else "production")
    installation.refuse_foreign_database()

    settings.SUPERAPP_SANDBOX = not sandbox
    with pytest.raises(installation.ForeignDatabase, match="was born as a"):
        installation.refuse_foreign_database()
    with pytest.raises(installation.ForeignDatabase):
        installation.settle()
    assert Installation.objects.get().mode == ("sandbox" if sandbox else "production")


def test_no_process_gets_a_connection_to_a_foreign_database(
    committed_db: TestDatabase, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.close()
    monkeypatch.setattr(installation, "_looked", False)
    settings.SUPERAPP_SANDBOX = False
    for _ in range(2):
        with pytest.raises(installation.ForeignDatabase):
            Installation.objects.exists()
        assert connection.connection is None
    settings.SUPERAPP_SANDBOX = True
    assert Installation.objects.exists()


@pytest.mark.django_db
def test_a_foreign_database_fails_the_system_checks(settings: Settings) -> None:
    installation.settle()
    assert "superapp.E006" not in {found.id for found in run_checks(databases=["default"])}
    settings.SUPERAPP_SANDBOX = False
    assert "superapp.E006" in {found.id for found in run_checks(databases=["default"])}


@pytest.mark.django_db
def test_there_is_one_installation_and_production_has_no_travelled_clock() -> None:
    installation.settle()
    with pytest.raises(IntegrityError), transaction.atomic(), the_owners_hand():
        Installation.objects.create(pk=2, mode="sandbox")
    with pytest.raises(IntegrityError), transaction.atomic(), the_owners_hand():
        Installation.objects.update(mode="production", clock_offset=timedelta(days=1))
