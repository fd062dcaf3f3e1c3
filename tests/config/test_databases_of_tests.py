"""The tests' own ground: what they run as, and that they do not see each other."""

import threading

import pytest
from django.db import connection

from superapp.models import User
from tests.databases import TestDatabase
from tests.factories import a_person


@pytest.mark.django_db
def test_runs_as_the_sites_role_and_not_as_the_owner() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, session_user <> current_user")
        assert cursor.fetchone() == ("superapp_site", True)
        cursor.execute("SELECT rolsuper, rolcanlogin FROM pg_roles WHERE rolname = 'superapp_site'")
        assert cursor.fetchone() == (False, False)


def test_a_committed_database_is_seen_by_every_thread(committed_db: TestDatabase) -> None:
    person = a_person()
    seen: list[bool] = []

    def look() -> None:
        seen.append(User.objects.filter(pk=person.pk).exists())
        connection.close()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()

    assert seen == [True]
    assert connection.settings_dict["NAME"] == committed_db.name


def test_a_committed_database_begins_without_what_another_committed(committed_db: TestDatabase) -> None:
    assert not User.objects.exists()
