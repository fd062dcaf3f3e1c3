"""From a phone number to the money in three clicks, and on to what moved it."""

from django.test import Client

from funds.models import FundOrder
from superapp.models import User
from tests.admin.pages import click, links_of, text_of
from wallet import journal
from wallet.models import Account, JournalEntry


def test_three_clicks_lead_from_a_phone_number_to_the_money(office: Client) -> None:
    people = office.get("/admin/superapp/user/?q=139+0000+0002")

    wei = click(office, people, "Wei")
    accounts = click(office, wei, "Accounts")
    wallet = click(office, accounts, "wallet")

    assert "3,934.00" in text_of(wallet)
    assert "transfer sent" in links_of(wallet)


def test_an_entry_shows_all_of_its_postings_and_what_it_happened_to(office: Client) -> None:
    people = office.get("/admin/superapp/user/?q=wei")
    wallet = click(office, click(office, click(office, people, "Wei"), "Accounts"), "wallet")

    entry = click(office, wallet, "transfer sent")
    transfer = click(office, entry, "transfer")

    assert "in_transit" in text_of(entry)
    assert "-66.00" in text_of(entry)
    assert "Noodles on Sunday" in text_of(transfer)
    assert {"Wei", "Lin"} <= set(links_of(transfer))


def test_a_persons_transfers_are_those_sent_and_received(office: Client) -> None:
    for name, has_any in [("Lin", True), ("Wei", True), ("Mei", False)]:
        person = click(office, office.get(f"/admin/superapp/user/?q={name}"), name)
        transfers = click(office, person, "Transfers")
        assert ("66.00 CNY" in text_of(transfers)) is has_any


def test_income_leads_to_its_run(office: Client) -> None:
    wei = click(office, office.get("/admin/superapp/user/?q=wei"), "Wei")
    holding = click(office, click(office, wei, "Accounts"), "fund")

    entry = click(office, holding, "fund income")
    [title] = [title for title in links_of(entry) if title.startswith("income of ")]
    run = click(office, entry, title)

    assert title.removeprefix("income of ") in text_of(run)
    assert "fund_income" in text_of(run)
    assert "HARVEST" in text_of(run)


def test_an_order_leads_to_its_entries_and_settlement(office: Client) -> None:
    wei = click(office, office.get("/admin/superapp/user/?q=wei"), "Wei")
    order = click(office, click(office, wei, "Fund orders"), str(FundOrder.objects.get().pk))

    settlement = click(office, order, "settlement")

    assert "1,000.00 CNY" in text_of(order)
    assert "1,000.00 CNY" in text_of(settlement)


def test_a_long_account_is_paged_by_its_own_key(office: Client) -> None:
    account = Account.objects.get(owner__handle="wei", kind="fund")
    first = journal.postings_of_account(account.pk, limit=5)
    second = journal.postings_of_account(account.pk, before=int(first.next_place or 0), limit=5)

    assert [posting.sequence for posting in first.postings] == [12, 11, 10, 9, 8]
    assert [posting.sequence for posting in second.postings] == [7, 6, 5, 4, 3]
    page = office.get(f"/admin/wallet/account/{account.pk}/change/?before=3")
    assert "1,000.15" in text_of(page)
    assert "1,001.44 " not in text_of(page).split("Balance after")[1]
    assert "Newest" in links_of(page)


def test_a_long_entry_is_paged_by_its_postings_key(operator: User) -> None:
    entry = JournalEntry.objects.filter(kind="subscription_confirmed").get()
    whole = journal.postings_of_entry(entry.pk)
    keys = [(posting.account_id, posting.sequence) for posting in whole.postings]
    assert len(keys) == 4
    assert whole.next_place is None

    seen = []
    place = None
    while True:
        page = journal.postings_of_entry(entry.pk, after=place, limit=1)
        seen += [(posting.account_id, posting.sequence) for posting in page.postings]
        if page.next_place is None:
            break
        place = journal.read_entry_place(page.next_place)

    assert seen == keys


def test_a_place_that_was_made_up_shows_the_first_page(office: Client) -> None:
    account = Account.objects.get(owner__handle="wei", kind="wallet")
    entry = JournalEntry.objects.latest("id")
    for address in (
        f"/admin/wallet/account/{account.pk}/change/?before=x'--",
        f"/admin/wallet/journalentry/{entry.pk}/change/?after=nonsense",
        "/admin/payments/transfer/?party=nobody",
    ):
        assert office.get(address).status_code == 200
