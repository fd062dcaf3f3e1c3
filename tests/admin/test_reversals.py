"""An entry is taken back in the back office by two operators: one asks on the entry's page, the other decides."""

from decimal import Decimal
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from superapp.models import User
from tests.admin.pages import click, links_of, text_of
from tests.factories import a_payer, a_person, an_operator
from tests.picture import assert_ledger_is_sound, nothing_changes
from wallet.models import Account, JournalEntry, ReversalRequest

ADD = "/admin/wallet/reversalrequest/add/"


def browser_of(operator: User) -> Client:
    browser = Client()
    browser.force_login(operator)
    return browser


@pytest.fixture
def entry(world: None, db: None) -> UUID:
    """A top-up of 25.00 that is still there."""
    wallet = Account.objects.get(owner=a_payer("25.00"), kind="wallet")
    return JournalEntry.objects.get(kind="top_up", postings__account_id=wallet.pk).pk


def balance_behind(entry: UUID) -> Decimal:
    return Account.objects.get(kind="wallet", postings__entry_id=entry).balance


def page(entry: UUID) -> str:
    return f"/admin/wallet/journalentry/{entry}/change/"


def test_one_operator_asks_on_the_entrys_page_and_another_approves(office: Client, entry: UUID) -> None:
    checker = browser_of(an_operator("Checker"))
    form = click(office, office.get(page(entry)), "ask for its reversal")
    assert str(entry) in form.content.decode()
    assert office.post(ADD, {"entry": str(entry), "reason": "Booked twice."}).status_code == 302
    assert balance_behind(entry) == 25
    request = click(checker, checker.get(page(entry)), "requested")
    assert {"Booked twice.", "Requested"} <= {
        word for word in ("Booked twice.", "Requested") if word in text_of(request)
    }
    address = request.request["PATH_INFO"]

    with nothing_changes():
        own = office.post(address, {"decision": "approve"})
    assert "approved by another person" in text_of(own)
    assert checker.post(address, {"decision": "approve"}).status_code == 302

    assert balance_behind(entry) == 0
    assert "Approved" in text_of(checker.get(address))
    assert str(JournalEntry.objects.get(reverses=entry).pk) in links_of(checker.get(page(entry)))
    assert_ledger_is_sound()
    with nothing_changes():
        assert checker.post(address, {"decision": "decline"}).status_code == 403


def test_a_refusal_is_told_beside_the_form_and_changes_nothing(office: Client, entry: UUID) -> None:
    sent = JournalEntry.objects.filter(kind="transfer_sent").first()
    assert sent is not None
    checker = browser_of(an_operator("Checker"))
    assert "ask for its reversal" not in links_of(office.get(page(sent.pk)))

    with nothing_changes():
        assert "not taken back by a reversal" in text_of(office.post(ADD, {"entry": str(sent.pk), "reason": "No."}))
        assert office.post(ADD, {"entry": str(entry), "reason": "  "}).status_code == 200
        assert office.post(ADD, {"entry": "nonsense", "reason": "No."}).status_code == 200
    office.post(ADD, {"entry": str(entry), "reason": "Booked twice."})
    asked = ReversalRequest.objects.get(entry_id=entry)
    address, behind = (
        f"/admin/wallet/reversalrequest/{asked.pk}/change/",
        Account.objects.filter(postings__entry_id=entry),
    )
    behind.filter(kind="wallet").update(held=20)
    with nothing_changes():
        refused = checker.post(address, {"decision": "approve"})
    assert "25.00 CNY would be taken back, and only 5.00 CNY is available" in text_of(refused)
    behind.filter(kind="wallet").update(closed=True)
    with nothing_changes():
        refused = checker.post(address, {"decision": "approve"})
    assert "This account is closed" in text_of(refused)


def test_who_asked_may_think_better_of_it(office: Client, entry: UUID) -> None:
    office.post(ADD, {"entry": str(entry), "reason": "Booked twice."})
    asked = ReversalRequest.objects.get(entry_id=entry)

    assert office.post(f"/admin/wallet/reversalrequest/{asked.pk}/change/", {"decision": "decline"}).status_code == 302

    assert ReversalRequest.objects.get(pk=asked.pk).state == "declined"
    assert balance_behind(entry) == 25


def test_asking_and_approving_are_rights_of_their_own(office: Client, entry: UUID) -> None:
    office.post(ADD, {"entry": str(entry), "reason": "Booked twice."})
    asked = ReversalRequest.objects.get(entry_id=entry)
    clerk = a_person("Clerk", email="clerk@superapp.test")
    clerk.is_staff = True
    clerk.save()
    clerk.user_permissions.set(Permission.objects.filter(codename__in=["view_reversalrequest", "add_reversalrequest"]))
    address = f"/admin/wallet/reversalrequest/{asked.pk}/change/"

    with nothing_changes():
        assert browser_of(clerk).post(address, {"decision": "approve"}).status_code == 403
    clerk.user_permissions.add(Permission.objects.get(codename="approve_reversal"))
    assert browser_of(User.objects.get(pk=clerk.pk)).post(address, {"decision": "approve"}).status_code == 302

    assert ReversalRequest.objects.get(pk=asked.pk).decided_by == clerk
