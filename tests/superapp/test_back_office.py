"""The back office's pages of people, policy, calendars and runs."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from superapp import clock, policies, runs
from superapp.admin import PERSON_LINKS
from superapp.models import CalendarDay, IdempotencyKey, OutboxEvent, PolicyVersion, Run, RunBatch, User
from tests.admin.pages import links_of, text_of
from tests.factories import a_person, an_operator

pytestmark = pytest.mark.django_db

PEOPLE = "/admin/superapp/user/"


@pytest.fixture
def operator() -> User:
    return an_operator()


@pytest.fixture
def office(operator: User) -> Client:
    """A browser in which a superuser has signed in."""
    browser = Client()
    browser.force_login(operator)
    return browser


def a_run(*, batches: int = 3, posted: int = 1, scope: str = "YUEBAO") -> Run:
    day = date(2026, 3, 2)
    run = Run.objects.create(
        kind="income", scope=scope, day=day, opened_at=clock.now(), state="posting", figures={"paid": "146.00"}
    )
    RunBatch.objects.bulk_create(
        RunBatch(run=run, position=n, low=run.pk, high=run.pk, state="posted" if n < posted else "planned")
        for n in range(batches)
    )
    return run


def a_count() -> policies.Policy[int]:
    """Some policy whose value is a whole number."""
    return next(policy for policy in policies.all() if isinstance(policy.type, policies.Count))


def test_every_page_of_the_office_opens(office: Client, operator: User) -> None:
    a_run()
    policies.change(policy=a_count().name, value=1)
    CalendarDay.objects.create(calendar="bank", day=clock.today(), is_open=False, reason="Flood")
    OutboxEvent.objects.create(topic="x", payload={"a": 1}, tx=1, available_at=clock.now())
    IdempotencyKey.objects.create(user=operator, operation="sendMoney", key="k", fingerprint=b"0" * 32)

    assert office.get("/admin/").status_code == 200
    for model in admin.site._registry:
        if model._meta.app_label != "superapp":
            continue
        listed = reverse(f"admin:superapp_{model._meta.model_name}_changelist")
        assert office.get(listed).status_code == 200, listed
        assert office.get(listed, {"q": "138"}).status_code in {200, 302}, listed
        row = model._default_manager.first()
        if row is not None:
            page = reverse(f"admin:superapp_{model._meta.model_name}_change", args=[row.pk])
            assert office.get(page).status_code == 200, page


def test_a_version_of_a_policy_is_found_by_the_number_that_a_refusal_names(office: Client, operator: User) -> None:
    version = policies.change(policy=a_count().name, value=1)
    page = reverse("admin:superapp_policyversion_change", args=[version.pk])
    refused = {"facts": {"rule": version.policy, "rule_version": version.pk}, "path": []}
    keys = [
        IdempotencyKey.objects.create(
            user=operator, operation="sendMoney", key=name, fingerprint=b"0" * 32, refusal=refusal, answer=answer
        )
        for name, refusal, answer in (
            ("by a version", "LIMIT_EXCEEDED", refused),
            ("by default", "LIMIT_EXCEEDED", {"facts": {"rule_version": 0}, "path": []}),
            ("by no policy", "NOT_FOUND", {"facts": {"what": "wallet"}, "path": []}),
        )
    ]

    listed = links_of(office.get(reverse("admin:superapp_policyversion_changelist")))
    shown = [office.get(reverse("admin:superapp_idempotencykey_change", args=[key.pk])) for key in keys]

    assert listed[f"#{version.pk}"].startswith(page)
    assert [links_of(each).get(f"policy version #{version.pk}") for each in shown] == [page, None, None]
    assert "the policy's built-in default" in text_of(shown[1])
    assert office.get(page).status_code == 200


@pytest.mark.parametrize("typed", ["138 7777", "+86 1387777", "13877771234", "lilei@", "LiLei", "李雷"])
def test_an_operator_finds_a_person_by_what_a_caller_tells(typed: str, office: Client) -> None:
    person = a_person("王李雷", phone="+8613877771234", email="lilei@example.com", handle="lilei")
    other = a_person("Han Meimei")

    page = office.get(PEOPLE, {"q": typed}).content.decode()

    assert str(person.pk) in page
    assert str(other.pk) not in page


def test_what_other_apps_know_of_a_person_is_one_click_away(office: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "superapp.admin.people.PERSON_LINKS", [*PERSON_LINKS, lambda who: ("Money", f"/admin/x/?of={who.pk}")]
    )
    person = a_person()

    page = office.get(f"{PEOPLE}{person.pk}/change/").content.decode()

    assert f'href="/admin/x/?of={person.pk}"' in page


def test_people_are_neither_added_nor_deleted_nor_given_another_number_by_hand(office: Client) -> None:
    person = a_person()
    before = (person.phone, User.objects.count())

    added = office.post(f"{PEOPLE}add/", {"phone": "+8613800000009", "display_name": "X"})
    deleted = office.post(f"{PEOPLE}{person.pk}/delete/", {"post": "yes"})
    office.post(
        f"{PEOPLE}{person.pk}/change/",
        {
            "display_name": "Renamed", "phone": "+8613800000009", "is_active": "on",
            "emailaddress_set-TOTAL_FORMS": "0", "emailaddress_set-INITIAL_FORMS": "0",
        },
    )  # fmt: skip

    person.refresh_from_db()
    assert (added.status_code, deleted.status_code) == (403, 403)
    assert (person.phone, User.objects.count()) == before
    assert person.display_name == "Renamed"


def test_an_operator_cannot_give_themselves_more_than_they_have(operator: User) -> None:
    from django.contrib.auth.models import Permission

    clerk, person = an_operator("Clerk"), a_person()
    User.objects.filter(pk=clerk.pk).update(is_superuser=False)
    clerk.user_permissions.set(Permission.objects.filter(codename__in=["change_user", "view_user"]))
    browser = Client()
    browser.force_login(User.objects.get(pk=clerk.pk))
    management = {"emailaddress_set-TOTAL_FORMS": "0", "emailaddress_set-INITIAL_FORMS": "0"}
    wish = {"display_name": "Clerk", "is_active": "on", "is_staff": "on", "is_superuser": "on", **management}

    own = browser.post(f"{PEOPLE}{clerk.pk}/change/", wish)
    browser.post(f"{PEOPLE}{person.pk}/change/", wish)

    assert own.status_code == 403
    assert not User.objects.get(pk=clerk.pk).is_superuser
    assert not User.objects.get(pk=person.pk).is_staff
    assert User.objects.get(pk=person.pk).display_name == "Clerk"


def test_a_run_shows_how_far_it_is_and_cannot_be_touched(office: Client) -> None:
    run = a_run(batches=4, posted=3)
    page = reverse("admin:superapp_run_change", args=[run.pk])

    listed = office.get(reverse("admin:superapp_run_changelist")).content.decode()
    shown = office.get(page).content.decode()
    changed = office.post(page, {"state": "closed"})

    assert "3 of 4" in listed
    assert "3 of 4" in shown
    assert "146.00" in shown
    assert changed.status_code == 403
    assert Run.objects.get().state == "posting"


def test_an_open_page_asks_for_what_moves_and_hears_when_it_is_over(office: Client) -> None:
    run = a_run(batches=4, posted=2)
    first, second = run.batches.filter(state="posted")
    RunBatch.objects.filter(pk=first.pk).update(
        posted_at=run.opened_at, figures={"holders": 3, "posted": "1.40", "ties": {}}
    )
    RunBatch.objects.filter(pk=second.pk).update(
        posted_at=run.opened_at + timedelta(seconds=6), figures={"holders": 4, "posted": "0.06"}
    )
    live = reverse("admin:superapp_run_live")

    going = office.get(live, {"runs": str(run.pk), "open": str(run.pk)}).json()["runs"][str(run.pk)]
    runs.stop(run, "a check did not agree")
    ended = office.get(live, {"runs": str(run.pk)}).json()["runs"][str(run.pk)]

    assert going["unfinished"]
    assert "2 of 4, about 12 s left" in going["parts"]["progress"]
    assert re.sub("<[^>]*>", " ", going["parts"]["so_far"]).split() == ["holders", "7", "posted", "1.46"]
    assert not ended["unfinished"]
    assert "Stopped" in ended["parts"]["state"]
    assert set(ended["parts"]) == {"state", "progress"}


def test_what_moves_costs_one_query_for_all_runs_of_a_page_and_is_for_operators_alone(office: Client) -> None:
    several = [a_run(scope=f"FUND{number}") for number in range(5)]
    live = reverse("admin:superapp_run_live")
    asked = {"runs": ",".join(str(run.pk) for run in several)}
    office.get(live, asked)

    with CaptureQueriesContext(connection) as queries:
        answer = office.get(live, asked).json()

    assert set(answer["runs"]) == {str(run.pk) for run in several}
    assert sum("superapp_run" in query["sql"] for query in queries) == 1
    assert office.get(live, {"runs": "1; DROP TABLE"}).status_code == 400
    assert Client().get(live, asked).status_code == 302


def test_a_run_with_many_batches_shows_a_page_of_them(office: Client) -> None:
    run = a_run(batches=60, posted=0)

    with CaptureQueriesContext(connection) as queries:
        shown = office.get(reverse("admin:superapp_run_change", args=[run.pk]))

    positions = re.findall(r"batches-(\d+)", shown.content.decode())
    assert max(map(int, positions)) == 19
    assert len(queries) < 20


def test_a_policy_gets_a_new_version_and_no_version_changes(office: Client, operator: User) -> None:
    policy = a_count()
    begins = clock.now() + timedelta(days=1)
    listed = reverse("admin:superapp_policyversion_changelist")
    add = reverse("admin:superapp_policyversion_add")
    asked = {
        "policy": policy.name, "scope": "", "reason": "Agreed in May", "value": str(policy.default - 1),
        "effective_from_0": begins.astimezone(clock.business_zone()).strftime("%Y-%m-%d"),
        "effective_from_1": "09:00:00",
    }  # fmt: skip

    wrong = office.post(add, {**asked, "value": '"not a number"'})
    past = office.post(add, {**asked, "effective_from_0": "2020-01-01"})
    assert (wrong.status_code, past.status_code, PolicyVersion.objects.count()) == (200, 200, 0)
    right = office.post(add, asked)

    assert right.status_code == 302, right.content.decode()
    version = PolicyVersion.objects.get()
    assert (version.policy, version.value, version.created_by) == (policy.name, policy.default - 1, operator)
    page = reverse("admin:superapp_policyversion_change", args=[version.pk])
    assert office.post(page, {**asked, "value": "5"}).status_code == 403
    assert office.post(reverse("admin:superapp_policyversion_delete", args=[version.pk])).status_code == 403
    assert policy.name in office.get(listed).content.decode()


def test_a_policy_without_an_instant_rules_from_the_moment_it_is_written(office: Client) -> None:
    policy, before = a_count(), clock.now()

    answer = office.post(
        reverse("admin:superapp_policyversion_add"),
        {
            "policy": policy.name, "scope": "", "reason": "Now", "value": str(policy.default - 1),
            "effective_from_0": "", "effective_from_1": "",
        },
    )  # fmt: skip

    assert answer.status_code == 302, answer.content.decode()
    version = PolicyVersion.objects.get()
    assert before < version.effective_from < clock.now()
    assert policy.now().value == policy.default - 1


def its_instant_passes(**asked: Any) -> None:
    clock.travel(asked["effective_from"] + timedelta(seconds=1))


def somebody_else_plans_the_same(**asked: Any) -> None:
    PolicyVersion.objects.create(
        policy=asked["policy"], scope=asked["scope"], value=1, effective_from=asked["effective_from"]
    )


@pytest.mark.parametrize(
    ("meanwhile", "told"),
    [
        (its_instant_passes, "has passed, and history is never rewritten"),
        (somebody_else_plans_the_same, "another version begins at the same instant"),
    ],
)
def test_what_refuses_a_policy_only_as_it_is_written_is_told_on_the_form(
    meanwhile: Callable[..., None], told: str, office: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy, change = a_count(), policies.change

    def overtaken(**asked: Any) -> PolicyVersion:
        meanwhile(**asked)
        return change(**asked)

    monkeypatch.setattr(policies, "change", overtaken)
    tomorrow = (clock.now() + timedelta(days=1)).astimezone(clock.business_zone())

    answer = office.post(
        reverse("admin:superapp_policyversion_add"),
        {
            "policy": policy.name, "scope": "", "reason": "Too late", "value": str(policy.default - 1),
            "effective_from_0": tomorrow.strftime("%Y-%m-%d"), "effective_from_1": "09:00:00",
        },
    )  # fmt: skip

    assert answer.status_code == 200
    [error] = answer.context["adminform"].form.errors["effective_from"]
    assert told in error
    assert "Too late" in answer.content.decode()
    assert not PolicyVersion.objects.exists()


def test_an_exception_to_a_calendar_can_be_planned_but_not_rewritten_once_its_day_has_passed(office: Client) -> None:
    past = CalendarDay.objects.create(
        calendar="bank", day=clock.today() - timedelta(days=1), is_open=False, reason="Flood"
    )
    ahead = CalendarDay.objects.create(
        calendar="bank", day=clock.today() + timedelta(days=1), is_open=False, reason="Flood"
    )

    statuses = [
        office.post(reverse("admin:superapp_calendarday_delete", args=[day.pk]), {"post": "yes"}).status_code
        for day in (past, ahead)
    ]

    assert statuses == [403, 302]
    assert list(CalendarDay.objects.all()) == [past]
