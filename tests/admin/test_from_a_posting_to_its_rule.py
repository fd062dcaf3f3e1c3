"""From a posting to what made it: the entry, the row it is about, the rule it fits; and what a second operator sees of it."""

from uuid import UUID

import pytest
from django.test import Client

from superapp.models import Run, User
from tests.admin.pages import click, links_of, text_of
from tests.factories import a_payer, an_operator
from wallet import flows, reversals
from wallet.admin.links import SUBJECT_PAGES
from wallet.models import Account, JournalEntry, Posting

ADD = "/admin/wallet/reversalrequest/add/"


def page_of(entry: UUID) -> str:
    return f"/admin/wallet/journalentry/{entry}/change/"


@pytest.fixture
def top_up(world: None, db: None) -> JournalEntry:
    """Of 25.00, not yet taken back."""
    wallet = Account.objects.get(owner=a_payer("25.00"), kind="wallet")
    return JournalEntry.objects.get(kind="top_up", postings__account_id=wallet.pk)


def test_whatever_an_entry_is_about_has_a_page(office: Client) -> None:
    """The flow table of the product; tests of the ledger declare kinds of their own."""
    declared = {kind.code for kind in flows.entry_kinds() if not kind.code.startswith("test")}
    seen = {entry.kind: entry for entry in JournalEntry.objects.order_by("id")}

    assert {"fund_correction", "reversal"} <= set(SUBJECT_PAGES) <= declared
    for entry in seen.values():
        about = office.get(page_of(entry.pk))
        assert str(entry.subject) in " ".join(links_of(about).values()), entry.kind
        assert office.get(next(a for a in links_of(about).values() if str(entry.subject) in a)).status_code == 200


def test_an_accounts_page_says_of_which_day_an_income_is_and_leads_to_its_run(office: Client) -> None:
    """It counts from 00:00 of the next day, so that neither of its times shows the day."""
    posting = Posting.objects.filter(entry__kind="fund_income", account__kind="fund").latest("recorded_at")
    run = Run.objects.get(pk=posting.subject)
    page = office.get(f"/admin/wallet/account/{posting.account_id}/change/")

    assert links_of(page)[f"income of {run.day}"].endswith(f"/admin/superapp/run/{run.pk}/change/")


@pytest.mark.parametrize(
    ("kind", "legs"),
    [
        ("transfer_settled", "-in_transit +wallet (C)"),
        ("subscription_confirmed", "-fund_orders +fund_cash (C); -fund_issued +fund (S)"),
        ("fund_income", "-fund_issued +fund (S)"),
    ],
)
def test_an_entrys_page_says_what_its_kind_may_move_and_where_its_code_and_tests_are_named(
    office: Client, kind: str, legs: str
) -> None:
    said = text_of(office.get(page_of(JournalEntry.objects.filter(kind=kind).latest("id").pk)))

    assert f"May move: {legs}." in said
    assert f"docs/rules.md, entry {kind}." in said


def test_who_asks_and_who_decides_see_whose_money_a_reversal_would_move(
    office: Client, operator: User, top_up: JournalEntry
) -> None:
    form = office.get(f"{ADD}?entry={top_up.pk}")
    asked = reversals.request(entry_id=top_up.pk, reason="Booked twice.", by=operator)
    decision = office.get(f"/admin/wallet/reversalrequest/{asked.pk}/change/")

    for shown in (text_of(form), text_of(decision)):
        assert "top up of 20" in shown
        assert "bank (System) -25.00 CNY" in " ".join(shown.split())
        assert ") 25.00 CNY" in shown


@pytest.mark.parametrize("made_up", ["nonsense", "01a2051c-8be3-7f54-a573-8e7dcf1d9373", ""])
def test_an_entry_that_is_none_leaves_the_form_as_it_is(office: Client, made_up: str) -> None:
    assert office.get(f"{ADD}?entry={made_up}").status_code == 200


def test_a_reversal_leads_to_who_asked_and_the_top_up_to_the_reversal(
    office: Client, operator: User, top_up: JournalEntry
) -> None:
    asked = reversals.request(entry_id=top_up.pk, reason="Booked twice.", by=operator)
    done = reversals.approve(request_id=asked.pk, by=an_operator("Checker"))
    assert done.reversal_id

    request = click(office, office.get(page_of(done.reversal_id)), "reversal request")
    row = click(office, office.get(page_of(top_up.pk)), "top-up")

    assert "Booked twice." in text_of(request)
    assert page_of(done.reversal_id) in links_of(row).values()
