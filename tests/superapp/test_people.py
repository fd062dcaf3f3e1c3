"""How people are named, reached and made known to the site."""

import pytest
from allauth.account.models import EmailAddress
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from superapp import people
from superapp.models import User
from tests.factories import a_person, a_phone


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("13800000001", "+8613800000001"),
        (" 138 0000-0001 ", "+8613800000001"),
        ("+86 138 0000 0001", "+8613800000001"),
        ("+1 (212) 555-0123", "+12125550123"),
    ],
)
def test_a_number_is_stored_in_one_form_however_it_is_written(written: str, stored: str) -> None:
    assert people.normal_phone(written) == stored


@pytest.mark.parametrize(
    "written",
    ["", "123", "1" * 31, "+86 138 0000 0001 x5", "1-800-FLOWERS", "+861380000000١", "+86１38０0000001", "+999999"],
)
def test_what_is_no_number_is_refused(written: str) -> None:
    with pytest.raises(people.InvalidPhone):
        people.normal_phone(written)


@pytest.mark.parametrize(
    ("typed", "beginnings"),
    [("138 00", ["+13800", "+8613800"]), ("+86 138", ["+86138"]), ("Lei", []), ("0138", ["+0138", "+86138"])],
)
def test_an_operator_finds_numbers_by_their_first_digits(typed: str, beginnings: list[str]) -> None:
    assert people.phone_beginnings(typed) == beginnings


@pytest.mark.parametrize("name", ["", "   ", "x" * 61, "Li\u202eieL", "Li\u200bLei"])
def test_a_name_that_cannot_be_seen_as_it_is_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="display name"):
        people.plain_display_name(name)


@pytest.mark.parametrize("handle", ["ab", "1abc", "li lei", "李雷", "a" * 31, "li-lei", ".abc"])
def test_a_handle_that_does_not_follow_the_rule_is_refused(handle: str) -> None:
    with pytest.raises(ValueError, match="handle"):
        people.plain_handle(handle)


@pytest.mark.django_db
def test_someone_registered_is_found_by_phone_and_signs_in_by_confirmed_addresses() -> None:
    phone = a_phone()

    person = people.register(display_name=" Li  Lei ", phone=phone, email="Li.Lei@Example.com", handle="LiLei")

    assert people.with_phone(phone.removeprefix("+86")) == person
    assert (person.display_name, person.email, person.handle) == ("Li Lei", "li.lei@example.com", "lilei")
    address = EmailAddress.objects.get(user=person)
    assert (address.email, address.verified, address.primary) == ("li.lei@example.com", True, True)
    assert not person.has_usable_password()


@pytest.mark.django_db
def test_registering_someone_whose_number_is_taken_leaves_nothing_behind() -> None:
    person = a_person()
    before = User.objects.count(), EmailAddress.objects.count()

    with pytest.raises(IntegrityError), transaction.atomic():
        people.register(display_name="Other", phone=person.phone, email="other@example.com")

    assert (User.objects.count(), EmailAddress.objects.count()) == before


@pytest.mark.django_db
def test_a_number_whose_code_was_never_entered_finds_nobody() -> None:
    phone = a_phone()
    User.objects.create_user(email="x@example.com", pending_phone=phone)

    assert people.with_phone(phone) is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    "broken",
    [
        {"phone": "13800000001"},
        {"phone": "+0138000000"},
        {"phone": a_phone(), "handle": "Upper"},
        {"phone": a_phone(), "handle": "1st"},
        {},
    ],
)
def test_the_database_holds_the_rules_of_people_too(broken: dict[str, str]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create(display_name="Broken", **broken)


@pytest.mark.django_db
def test_finding_a_person_by_phone_is_one_query() -> None:
    person = a_person()

    with CaptureQueriesContext(connection) as queries:
        assert people.with_phone(str(person.phone)) == person

    assert len(queries) == 1
