"""What a hand has done to the ledger's rows is shown, not stumbled over: the back office is where one looks for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from superapp.models import User
from tests.admin.pages import links_of, text_of
from tests.owners_hand import the_owners_hand
from wallet import reversals
from wallet.errors import EntryNotReversible
from wallet.models import Account, JournalEntry, Posting

TRIAL_BALANCE = "/admin/wallet/account/trial-balance/"
NOWHERE = "01900000-0000-7000-8000-00000000dead"


@contextmanager
def the_guards_off() -> Iterator[None]:
    """The owner's hand with the ledger's triggers off, until the test is rolled back."""
    with the_owners_hand():
        for table in ("wallet_posting", "wallet_journalentry", "wallet_account"):
            by_hand(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        yield


def by_hand(statement: str, *params: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)


def page_of(row: Account | JournalEntry) -> str:
    return f"/admin/wallet/{row._meta.model_name}/{row.pk}/change/"


@pytest.fixture
def wallet(world: None, db: None) -> Account:
    """Wei's, with postings of several kinds."""
    return Account.objects.get(owner__handle="wei", kind="wallet")


@pytest.fixture
def sent(wallet: Account) -> JournalEntry:
    """What Wei has sent."""
    return JournalEntry.objects.get(kind="transfer_sent", postings__account_id=wallet.pk)


def test_an_account_of_a_kind_that_is_not_in_the_flow_table_is_shown_and_so_is_the_trial_balance(
    office: Client, wallet: Account
) -> None:
    with the_guards_off():
        by_hand("UPDATE wallet_account SET kind = 'savings' WHERE id = %s", wallet.pk)

    page = office.get(page_of(wallet))
    listed = office.get("/admin/wallet/account/?kind=savings")
    balance = office.get(TRIAL_BALANCE)

    assert "savings: Not in the flow table." in text_of(page)
    assert "transfer sent" in links_of(page)
    assert "savings Wei" in text_of(listed)
    assert "savings Not in the flow table. 1" in text_of(balance)
    assert links_of(balance)["savings"] == page_of(wallet)


def test_an_entry_of_a_kind_that_is_not_in_the_flow_table_is_shown_and_cannot_be_taken_back(
    office: Client, operator: User, wallet: Account, sent: JournalEntry
) -> None:
    with the_guards_off():
        by_hand("UPDATE wallet_journalentry SET kind = 'windfall' WHERE id = %s", sent.pk)

    page = office.get(page_of(sent))
    listed = office.get("/admin/wallet/journalentry/?kind=windfall")

    assert "Windfall. Not in the flow table." in text_of(page)
    assert "May move: nothing." in text_of(page)
    assert "-66.00" in text_of(page)
    assert "ask for its reversal" not in links_of(page)
    assert links_of(listed)["windfall"].startswith(page_of(sent))
    assert "windfall" in links_of(office.get(page_of(wallet)))
    with pytest.raises(EntryNotReversible):
        reversals.request(entry_id=sent.pk, reason="It should not be there.", by=operator)


def test_a_posting_stays_on_its_accounts_page_when_its_entry_is_gone(
    office: Client, wallet: Account, sent: JournalEntry
) -> None:
    with the_guards_off():
        by_hand("DELETE FROM wallet_journalentry WHERE id = %s", sent.pk)

    page = office.get(page_of(wallet))

    assert f"missing entry {sent.pk}" in text_of(page)
    assert "-66.00" in text_of(page)
    assert len(page.context["lines"]) == wallet.last_sequence


def test_a_posting_stays_on_its_entrys_page_when_its_account_or_asset_is_none(
    office: Client, wallet: Account, sent: JournalEntry
) -> None:
    with the_guards_off():
        by_hand(
            "UPDATE wallet_posting SET account_id = %s, asset_id = 999 WHERE entry_id = %s AND account_id = %s",
            NOWHERE, sent.pk, wallet.pk,
        )  # fmt: skip

    page = text_of(office.get(page_of(sent)))

    assert f"missing account {NOWHERE}" in page
    assert "missing asset 999 -66.0000" in page
    assert "in_transit System CNY 66.00" in page


def test_a_reversal_is_shown_when_what_it_took_back_is_gone(office: Client, sent: JournalEntry) -> None:
    with the_guards_off():
        by_hand("UPDATE wallet_journalentry SET reverses_id = %s WHERE id = %s", NOWHERE, sent.pk)

    assert f"missing entry {NOWHERE}" in text_of(office.get(page_of(sent)))


def test_digits_that_an_asset_does_not_have_are_shown(office: Client, wallet: Account, sent: JournalEntry) -> None:
    with the_guards_off():
        by_hand(
            "UPDATE wallet_posting SET amount = -66.0001 WHERE entry_id = %s AND account_id = %s", sent.pk, wallet.pk
        )
        by_hand("UPDATE wallet_account SET balance = balance + 0.0001 WHERE id = %s", wallet.pk)

    assert "-66.0001" in text_of(office.get(page_of(wallet)))
    assert "-66.0001" in text_of(office.get(page_of(sent)))
    assert ".0001" in text_of(office.get("/admin/wallet/account/?kind=wallet"))
    assert "Off by 0.0001" in text_of(office.get(TRIAL_BALANCE))


def test_an_amount_that_is_no_number_is_shown(office: Client, wallet: Account, sent: JournalEntry) -> None:
    with the_guards_off():
        by_hand("UPDATE wallet_posting SET amount = 'NaN', balance_after = 'NaN' WHERE account_id = %s", wallet.pk)
        by_hand("UPDATE wallet_account SET balance = 'NaN' WHERE id = %s", wallet.pk)

    for page in (page_of(wallet), page_of(sent), "/admin/wallet/account/?kind=wallet"):
        assert "NaN" in text_of(office.get(page)), page
    assert "Off by NaN" in text_of(office.get(TRIAL_BALANCE))


def test_what_is_missing_costs_no_query_of_its_own(office: Client, wallet: Account) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert office.get(page_of(wallet)).status_code == 200
        return len(captured)

    queries()
    sound = queries()
    entries = Posting.objects.filter(account_id=wallet.pk).values_list("entry_id", flat=True)[:3]
    with the_guards_off():
        by_hand("DELETE FROM wallet_journalentry WHERE id = ANY(%s)", list(entries))

    assert queries() <= sound
