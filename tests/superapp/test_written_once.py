"""What the database keeps of policy, of people and of what operators did, whoever asks."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone

from superapp import policies
from superapp.models import Installation, PolicyVersion, User
from tests.factories import a_person, an_operator
from tests.owners_hand import the_owners_hand

pytestmark = pytest.mark.django_db

BOUNDS = "superapp.outbox.kept_for"
"""Any policy: a number of seconds."""


def _a_version() -> PolicyVersion:
    return policies.change(policy=BOUNDS, value=864_000, reason="a test")


def _a_line_of_the_log() -> LogEntry:
    operator = an_operator()
    (line,) = LogEntry.objects.log_actions(
        operator.pk, User.objects.filter(pk=operator.pk), CHANGE, single_object=False
    )
    return line


@pytest.mark.parametrize(
    "change", [lambda rows: rows.update(value=1), lambda rows: rows.delete()], ids=["update", "delete"]
)
def test_a_policys_version_is_neither_changed_nor_deleted(change: Callable[..., object]) -> None:
    versions = PolicyVersion.objects.filter(pk=_a_version().pk)

    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
        change(versions)
    with pytest.raises(DatabaseError, match="written once"), transaction.atomic(), the_owners_hand():
        change(versions)

    assert versions.get().value == 864_000


def test_in_production_no_version_begins_in_the_past() -> None:
    past = timezone.now() - timedelta(minutes=2)
    with the_owners_hand():
        Installation.objects.update(mode="production", clock_offset=None)

    with pytest.raises(IntegrityError, match="history is never rewritten"), transaction.atomic():
        PolicyVersion.objects.create(policy=BOUNDS, value=1, effective_from=past)

    assert _a_version() == PolicyVersion.objects.get()


def test_what_operators_did_is_neither_changed_nor_deleted() -> None:
    lines = LogEntry.objects.filter(pk=_a_line_of_the_log().pk)

    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
        lines.update(change_message="Nothing.")
    for by in (transaction.atomic, the_owners_hand):
        with pytest.raises(DatabaseError, match="written once"), transaction.atomic(), by():
            lines.delete()

    assert lines.exists()


def test_a_person_who_has_entered_a_code_is_not_deleted() -> None:
    person = a_person()

    with pytest.raises(DatabaseError, match="has entered a code or signed in"), transaction.atomic():
        person.delete()

    assert User.objects.filter(phone=person.phone).exists()
