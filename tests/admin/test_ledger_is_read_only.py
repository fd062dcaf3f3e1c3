"""Nobody adds, changes or deletes a row of the ledger or of a product by hand: superusers included, by direct POST too."""

import pytest
from django.contrib import admin
from django.contrib.admin.options import ModelAdmin
from django.contrib.auth.models import Group, Permission
from django.db.models import Model
from django.test import Client, RequestFactory
from django.urls import reverse

from superapp.models import User
from tests.config.test_grants import GRANTS
from tests.factories import a_person
from tests.picture import picture
from wallet.models import Account, JournalEntry, Posting

PRODUCTS = {"wallet", "payments", "funds"}
WATCHED = (
    "wallet_account", "wallet_journalentry", "wallet_posting", "wallet_hold", "wallet_topup", "wallet_bankcallback",
    "wallet_paymentpin", "payments_transfer", "funds_fund", "funds_yield", "funds_fundorder", "funds_fundday",
    "funds_managersettlement", "funds_incomeshortfall",
)  # fmt: skip

PAGES = {model._meta.label: page for model, page in admin.site._registry.items() if model._meta.app_label in PRODUCTS}
MAY_BE_ADDED = {"funds.Yield", "wallet.ReversalRequest"}


def address(model: type[Model], what: str, *key: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{what}", args=key)


@pytest.mark.parametrize("label", sorted(PAGES))
def test_no_row_is_added_changed_or_deleted(office: Client, label: str) -> None:
    model = PAGES[label].model
    row = model._default_manager.first()
    key = row.pk if row is not None else "01900000-0000-7000-8000-000000000000"
    before = picture(*WATCHED)
    form = {"kind": "wallet", "balance": "1000000", "amount": "1000000", "state": "settled", "_save": "Save"}

    answers = {
        office.post(address(model, "change", key), form).status_code,
        office.post(address(model, "delete", key), {"post": "yes"}).status_code,
        office.get(address(model, "delete", key)).status_code,
    }
    if label not in MAY_BE_ADDED:
        answers |= {office.get(address(model, "add")).status_code, office.post(address(model, "add"), form).status_code}
    listed = office.post(
        address(model, "changelist"), {"action": "delete_selected", "_selected_action": [str(key)], "post": "yes"}
    )

    assert answers <= {403, 302, 404}
    assert 403 in answers or row is None
    assert listed.status_code in {200, 302, 403}
    assert picture(*WATCHED) == before


@pytest.mark.parametrize("label", sorted(PAGES))
def test_lists_offer_no_action_and_nothing_to_edit_in_place(office: Client, label: str) -> None:
    page: ModelAdmin[Model] = PAGES[label]
    response = office.get(address(page.model, "changelist"))
    assert response.status_code == 200
    assert not page.list_editable
    assert "delete_selected" not in response.content.decode()


def test_accounts_and_entries_are_seen_and_postings_have_no_form_of_their_own() -> None:
    assert {"wallet.Account", "wallet.JournalEntry"} <= set(PAGES)
    assert Posting not in admin.site._registry


def test_an_operator_without_rights_sees_no_ledger(office: Client) -> None:
    clerk = a_person("Clerk", email="clerk@superapp.test")
    clerk.is_staff = True
    clerk.save()
    browser = Client()
    browser.force_login(clerk)
    for model in (Account, JournalEntry):
        assert browser.get(address(model, "changelist")).status_code == 403
    assert browser.get("/admin/wallet/account/trial-balance/").status_code == 403
    assert "Transfers in transit" not in browser.get("/admin/").content.decode()


def test_no_page_offers_what_the_database_refuses(rf: RequestFactory) -> None:
    """A button whose statement is not granted would end in a 500."""
    request = rf.get("/admin/")
    request.user = User(is_superuser=True, is_staff=True)
    offered = {
        (page.opts.db_table, letter)
        for page in admin.site._registry.values()
        for letter, has in (
            ("I", page.has_add_permission(request)),
            ("U", page.has_change_permission(request)),
            ("D", page.has_delete_permission(request)),
        )
        if has
    }

    assert {(table, letter) for table, letter in offered if letter not in GRANTS[table].split(" ")[0]} == set()
    assert {table for table, letter in offered if letter == "D"} == {"auth_group", "superapp_calendarday"}


def test_a_group_of_operators_can_be_deleted_with_what_it_gave(office: Client) -> None:
    clerk, group = a_person("Clerk", email="clerk@superapp.test"), Group.objects.create(name="Clerks")
    group.permissions.set(Permission.objects.all()[:2])
    clerk.groups.add(group)

    assert office.post(address(Group, "delete", group.pk), {"post": "yes"}).status_code == 302

    assert not clerk.groups.exists()
    assert User.objects.filter(pk=clerk.pk).exists()
