"""Every page of the back office opens, says what it should, and costs no query per row."""

from decimal import Decimal

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from config import sandbox_world, start_page
from payments import transfers
from payments.payees import Payee
from superapp import back_office
from superapp.models import User
from tests.admin.pages import text_of
from wallet import top_ups, wallets
from wallet.models import BankCallback, TopUp

REGISTERED = sorted(
    (model for model in admin.site._registry if model._meta.app_label in {"wallet", "payments", "funds"}),
    key=lambda model: model._meta.label,
)


@pytest.mark.parametrize("model", REGISTERED, ids=lambda model: model._meta.label)
def test_list_and_first_row_open(office: Client, model: type) -> None:
    label = f"{model._meta.app_label}_{model._meta.model_name}"  # type: ignore[attr-defined]
    assert office.get(reverse(f"admin:{label}_changelist")).status_code == 200
    row = model._default_manager.first()  # type: ignore[attr-defined]
    if row is not None:
        assert office.get(reverse(f"admin:{label}_change", args=[row.pk])).status_code == 200


@pytest.mark.parametrize("model", REGISTERED, ids=lambda model: model._meta.label)
def test_searching_for_anything_is_answered(office: Client, model: type) -> None:
    page = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")  # type: ignore[attr-defined]
    for wanted in ("+8613900000002", "01900000-0000-7000-8000-000000000000", "' OR 1=1 --"):
        assert office.get(page, {"q": wanted}).status_code == 200


def test_the_menu_shows_every_list_and_the_trial_balance_once(office: Client) -> None:
    response = office.get("/admin/wallet/account/trial-balance/")
    menu = back_office.menu(response.wsgi_request)
    links = [item["link"] for group in menu for item in group["items"]]
    active = [item["title"] for group in menu for item in group["items"] if item.get("active") is True]

    assert "/admin/wallet/account/trial-balance/" in links
    assert len(links) == len(set(links))
    assert "Accounts" not in active


def test_the_trial_balance_adds_up_and_leads_to_the_accounts(office: Client) -> None:
    page = text_of(office.get("/admin/wallet/account/trial-balance/"))
    assert "Every asset comes to zero." in page
    assert "bank Mirror of the money at the custody bank; normally below zero. 1 24,500.00" in page
    assert "Total 24,500.00 24,500.00" in page
    assert "Total 1,001.44 1,001.44" in page


def test_the_trial_balance_shows_a_broken_asset(office: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE wallet_account SET balance = balance + 0.01 WHERE kind = 'wallet' AND balance > 20000")
    page = text_of(office.get("/admin/wallet/account/trial-balance/"))
    assert "does not come to zero" in page
    assert "Off by 0.01" in page


def test_a_folded_accounts_balance_is_current_before_and_after_folding(office: Client) -> None:
    from wallet.folding import fold

    before = text_of(office.get("/admin/wallet/account/?kind=bank"))
    fold()
    assert "-24,500.00" in before
    assert "-24,500.00" in text_of(office.get("/admin/wallet/account/?kind=bank"))


def test_the_catalogue_shows_yields_as_figures_and_as_a_line(office: Client) -> None:
    page = office.get("/admin/funds/fund/")
    assert "HARVEST Harvest money market CNY Open 1.2487 on 2013-07-12 4.884" in text_of(page)
    assert page.content.decode().count("<polyline") == 2


def test_the_first_page_says_what_waits(office: Client) -> None:
    mei = User.objects.get(handle="mei")
    top_ups.top_up(owner_id=mei.pk, amount=Decimal("4109.00"), currency="CNY", key="never-decided")
    TopUp.objects.filter(state="requested").update(state="instructed")
    BankCallback.objects.create(
        rail="sandbox", reference="r", instruction="x", status="confirmed", amount=Decimal(1), currency="CNY",
        outcome="unknown", received_at=TopUp.objects.latest("id").requested_at,
    )  # fmt: skip
    page = text_of(office.get("/admin/"))
    lines = {line.title: line for line in start_page.what_waits(User.objects.get(email=sandbox_world.OPERATOR))}

    assert "The business clock reads Saturday, 2013-07-13" in page
    assert lines["Top-ups the bank has not answered"].count == 1
    assert lines["Bank messages: names nothing of ours"].wants_a_look
    assert not lines["Transfers in transit"].wants_a_look
    for line in lines.values():
        assert office.get(line.address).status_code == 200


def _more_people(count: int) -> None:
    from tests.factories import a_payer

    for _ in range(count):
        person = a_payer("100.00", pin=sandbox_world.PIN)
        top_ups.top_up(owner_id=person.pk, amount=Decimal("1.00"), currency="CNY", key="more")
        wallets.open_wallet(owner_id=person.pk, currency="USD")
        transfers.send_money(
            sender_id=person.pk, to=Payee(handle="lin"), amount=Decimal("1.00"), currency="CNY", note="",
            pin=sandbox_world.PIN, key="more",
        )  # fmt: skip


LISTS = (
    "/admin/", "/admin/wallet/account/", "/admin/wallet/journalentry/", "/admin/wallet/topup/", "/admin/wallet/hold/",
    "/admin/wallet/bankcallback/", "/admin/wallet/paymentpin/", "/admin/payments/transfer/", "/admin/funds/fundorder/",
    "/admin/funds/fund/", "/admin/funds/yield/", "/admin/wallet/account/trial-balance/",
)  # fmt: skip


def test_no_list_costs_a_query_per_row(office: Client) -> None:
    def queries(page: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert office.get(page).status_code == 200
        return len(captured)

    _more_people(2)
    for page in LISTS:
        queries(page)  # what is remembered per process is read once
    few = {page: queries(page) for page in LISTS}
    _more_people(8)

    assert {page: queries(page) for page in LISTS} == few


def test_an_accounts_page_costs_the_same_with_few_postings_and_with_many(office: Client) -> None:
    from wallet.models import Account

    account = Account.objects.get(owner__handle="lin", kind="wallet")

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert office.get(f"/admin/wallet/account/{account.pk}/change/").status_code == 200
        return len(captured)

    queries()
    few = queries()
    wei = User.objects.get(handle="wei")
    for number in range(6):
        transfers.send_money(
            sender_id=wei.pk, to=Payee(handle="lin"), amount=Decimal("1.00"), currency="CNY", note="",
            pin=sandbox_world.PIN, key=f"again-{number}",
        )  # fmt: skip
    assert queries() == few
