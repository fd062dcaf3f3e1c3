"""From what a fund did to why, by clicking: holds and orders, what is owed and who paid, a holder's income of a day."""

import re

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from funds.models import Fund, FundOrder, IncomeShortfall
from superapp.models import Run, User
from tests import factories
from tests.admin.pages import click, links_of, text_of
from tests.databases import TestDatabase
from tests.funds import scenes
from wallet.models import Account, Hold, JournalEntry

DAY = "2013-07-03"


@pytest.fixture
def office(committed_db: TestDatabase) -> Client:
    """A browser in which a superuser has signed in."""
    browser = Client()
    browser.force_login(factories.an_operator())
    return browser


def account_page(account: Account) -> str:
    return f"/admin/wallet/account/{account.pk}/change/"


def order_page(order: FundOrder) -> str:
    return f"/admin/funds/fundorder/{order.pk}/change/"


def one_who_left(fund: Fund) -> User:
    """Who had 10,000.00 on the day, redeemed all, and was then found to have got 2.00 too much, and later 3.50 too little."""
    saver = scenes.who_left(fund)
    for figure, clock_time in (("1", "11:00"), ("4.5", "11:30")):
        with scenes.on("2013-07-05", clock_time):
            scenes.publish(fund, {DAY: figure}, revise=True)
            scenes.sweep()
    return saver


def test_a_hold_leads_to_its_order_and_the_order_back_to_its_hold(office: Client) -> None:
    fund = scenes.a_fund(DAY)
    saver = one_who_left(fund)
    placed = FundOrder.objects.get(side="redeem", follows=None)
    hold = Hold.objects.get()

    held = click(office, office.get(account_page(scenes.shares_account(saver, fund))), "holds")
    page = click(office, held, str(hold.pk))
    order = click(office, page, "fund order")
    back = click(office, order, "hold")

    assert "Captured" in text_of(page)
    assert order.request["PATH_INFO"] == order_page(placed)
    assert str(placed.effective_entry_id) in links_of(order)
    assert back.request["PATH_INFO"] == f"/admin/wallet/hold/{hold.pk}/change/"


def test_the_holds_of_an_account_are_its_own(office: Client) -> None:
    fund = scenes.a_fund(DAY)
    one_who_left(fund)
    other = scenes.a_saver(fund, "10.00")
    with scenes.on(DAY, "15:00"):
        scenes.buy(other, fund, "10.00")

    held = click(office, office.get(account_page(scenes.shares_account(other, fund))), "holds")

    assert str(Hold.objects.get().pk) not in links_of(held)


def test_an_order_that_nobody_placed_names_the_order_it_follows_and_the_run_that_made_it(office: Client) -> None:
    fund = scenes.a_fund(DAY)
    one_who_left(fund)
    placed = FundOrder.objects.get(side="redeem", follows=None)
    made = FundOrder.objects.get(follows=placed, run=scenes.run_of(fund, DAY, 2))
    own = office.get(order_page(made))

    follows = click(office, own, "redemption of all placed 2013-07-03")
    run = click(office, own, "income of 2013-07-03 (revision 2)")
    later = click(office, follows, "orders that pay out its later income")

    assert follows.request["PATH_INFO"] == order_page(placed)
    assert str(made.run_id) in run.request["PATH_INFO"]
    assert str(made.pk) in links_of(later)
    assert str(placed.pk) not in links_of(later)
    assert "orders that pay out its later income" not in links_of(own)


def test_what_collected_a_shortfall_says_so_and_leads_to_it_and_on_to_the_income_that_paid(office: Client) -> None:
    fund = scenes.a_fund(DAY)
    saver = one_who_left(fund)
    shortfall = IncomeShortfall.objects.get()
    holding = office.get(account_page(scenes.shares_account(saver, fund)))
    collected = JournalEntry.objects.get(kind="shortfall_collected")

    entry = click(office, holding, "shortfall collected")
    owed = click(office, entry, "what was owed, and who paid")
    payer = click(office, owed, "income of 2013-07-03 (revision 2)")

    assert entry.request["PATH_INFO"] == f"/admin/wallet/journalentry/{collected.pk}/change/"
    assert "what was owed since the income of 2013-07-03 (revision 1)" in links_of(entry)
    assert "what was owed since the income of 2013-07-03 (revision 1)" in links_of(holding)
    assert owed.request["PATH_INFO"] == f"/admin/funds/incomeshortfall/{shortfall.pk}/change/"
    assert "2.00" in text_of(owed)
    assert str(collected.pk) in links_of(owed)
    assert str(scenes.run_of(fund, DAY, 1).pk) in links_of(owed)["income of 2013-07-03 (revision 1)"]
    assert str(scenes.run_of(fund, DAY, 2).pk) in payer.request["PATH_INFO"]


def test_original_and_corrections_of_a_day_are_told_apart(office: Client) -> None:
    fund = scenes.a_fund(DAY)
    saver = one_who_left(fund)

    named = links_of(office.get(account_page(scenes.shares_account(saver, fund))))

    assert str(scenes.run_of(fund, DAY).pk) in named["income of 2013-07-03"]
    assert str(scenes.run_of(fund, DAY, 2).pk) in named["income of 2013-07-03 (revision 2)"]


def three_savers(fund: Fund) -> list[User]:
    """Of whom the first and the third get one cent more: the first two have equal shares, and the third has more."""
    savers = [scenes.a_saver(fund, "4000.00") for _ in range(3)]
    with scenes.on("2013-07-02", "10:00"):
        for saver, amount in zip(savers, ("3333.33", "3333.33", "3333.34"), strict=True):
            scenes.buy(saver, fund, amount)
        scenes.publish(fund, {DAY: "1.46"})
    scenes.sweep_each_day(DAY, "2013-07-04")
    return savers


def run_page(run: Run) -> str:
    return f"/admin/superapp/run/{run.pk}/change/"


def test_the_figures_of_an_income_run_are_told_in_words_and_say_who_gets_the_last_cents(office: Client) -> None:
    fund = scenes.a_fund(DAY)
    first, *_ = three_savers(fund)
    account = scenes.shares_account(first, fund)
    run = scenes.run_of(fund, DAY)

    page = office.get(run_page(run))
    said = text_of(page)

    assert "Income per 10,000 shares (y) 1.46" in said
    assert "What the cuts leave over is handed out to the largest cut fractions" in said
    assert "Steps handed out; below zero: taken 2" in said
    assert (
        "a holder gets one step more where the cut took off more than 66,661,800 / 100,000,000 of a step; of those with "
        f"exactly 66,661,800 the accounts up to {account.pk}, in the order of their ids."
    ) in said
    assert links_of(page)[f"account {account.pk}"] == account_page(account)
    assert "Holders who are entitled 3" in said
    for name in ("per_10k", "brought_forward", "floors", "tie_position", "batch_accounts"):
        assert f" {name} " not in said.split("Batches so far")[1].split("Position")[0]


@pytest.mark.parametrize(
    ("by_hand", "shown"),
    [
        ({"fraction": "12"}, "Cut fraction of the last step, in 1/100,000,000 of a step 12"),
        ({"fraction": None}, "Cut fraction of the last step, in 1/100,000,000 of a step null"),
        ({"steps": "x"}, "Steps handed out; below zero: taken x"),
        ({"stage": ["a"]}, 'Batches are read for ["a"]'),
        ({"leftover": {"a": 1}}, 'What the cuts leave over is {"a": 1}'),
    ],
    ids=["fraction-text", "fraction-null", "steps", "stage", "leftover"],
)
def test_figures_that_a_hand_has_changed_are_shown_as_they_are(
    office: Client, by_hand: dict[str, object], shown: str
) -> None:
    """A stopped run is mended by a person, who looks at them here."""
    fund = scenes.a_fund(DAY)
    saver, *_ = three_savers(fund)
    run, account = scenes.run_of(fund, DAY), scenes.shares_account(saver, fund)
    Run.objects.filter(pk=run.pk).update(figures={**run.figures, **by_hand})

    assert shown in text_of(office.get(run_page(run)))
    assert office.get(f"/admin/superapp/run/live/?runs={run.pk}&open={run.pk}").status_code == 200
    assert office.get(f"/admin/funds/fund/income/{run.pk}/{account.pk}/").status_code in (200, 404)


def test_where_all_equals_get_a_step_no_account_is_named(office: Client) -> None:
    fund = scenes.a_fund(DAY)
    savers = [scenes.a_saver(fund, "4000.00") for _ in range(2)]
    with scenes.on("2013-07-02", "10:00"):
        for saver, amount in zip(savers, ("3333.33", "3333.34"), strict=True):
            scenes.buy(saver, fund, amount)
        scenes.publish(fund, {DAY: "1.46"})
    scenes.sweep_each_day(DAY, "2013-07-04")
    figures = scenes.run_of(fund, DAY).figures
    said = text_of(office.get(run_page(scenes.run_of(fund, DAY))))

    assert (figures["steps"], figures.get("account")) == (1, None)
    assert f"those with exactly {figures['fraction']:,} all do too." in said


def test_a_correction_leads_to_the_run_it_corrects_and_one_that_takes_says_so(office: Client) -> None:
    fund = scenes.a_fund(DAY)
    three_savers(fund)
    with scenes.on("2013-07-04", "11:00"):
        scenes.publish(fund, {DAY: "-1.46"}, revise=True)
        scenes.sweep()
    first = scenes.run_of(fund, DAY)

    page = office.get(run_page(scenes.run_of(fund, DAY, 1)))

    assert links_of(page)[f"run {first.pk}"] == run_page(first)
    assert "a holder bears one step where the cut took off more than 66,661,800" in text_of(page)


def worked_out(office: Client, saver: User, fund: Fund, revision: int = 0) -> str:
    """What the page says that the posting on the saver's account leads to."""
    account = scenes.shares_account(saver, fund)
    page = office.get(account_page(account))
    line = f"{scenes.run_of(fund, DAY, revision).pk}/{account.pk}/"
    assert any(address.endswith(line) for address in re.findall('href="([^"]*)"', page.content.decode()))
    return text_of(office.get(f"/admin/funds/fund/income/{line}"))


def test_of_two_holders_with_equal_shares_the_page_says_why_one_got_a_cent_more(office: Client) -> None:
    fund = scenes.a_fund(DAY)
    lucky, other, larger = three_savers(fund)
    last = scenes.shares_account(lucky, fund).pk

    tied = f"the cut took off as much as at the last who got one; of those equals the accounts up to {last} got one"
    for saver, verdict, paid in (
        (lucky, f"0.01 Yes: {tied}", "0.49"),
        (other, f"0.00 No: {tied}", "0.48"),
        (larger, "0.01 Yes: the cut took off more than at the last who got one.", "0.49"),
    ):
        said = worked_out(office, saver, fund)
        assert f"A step of what the cuts left over {verdict}" in said
        assert f"Comes to {paid}" in said
        assert "Income per 10,000 shares (y) 1.46" in said
        assert scenes.incomes(saver, fund) == [paid]
    said = worked_out(office, other, fund)
    assert "Entitled shares 3,333.33 effective" in said
    assert "Exact income 0.48666618 entitled" in said
    assert "Cut 0.48 to a step" in said
    assert "Cut fraction 0.666618" in said
    assert f"and this one is {scenes.shares_account(other, fund).pk}." in said


def test_an_entry_leads_to_how_each_holders_part_was_worked_out(office: Client) -> None:
    fund = scenes.a_fund(DAY)
    three_savers(fund)
    entry = JournalEntry.objects.get(kind="fund_income")

    page = office.get(f"/admin/wallet/journalentry/{entry.pk}/change/")
    with CaptureQueriesContext(connection) as captured:
        office.get(f"/admin/wallet/journalentry/{entry.pk}/change/")
    looks = sum('FROM "wallet_account"' in query["sql"] for query in captured)
    worked = click(office, page, "how it was worked out")

    assert page.content.decode().count("how it was worked out") == 3
    assert looks == 2
    assert "Income of 2013-07-03 of YEB, worked out" in text_of(worked)


def test_a_correction_is_worked_out_from_what_it_corrects_down_to_what_was_owed(office: Client) -> None:
    fund = scenes.a_fund(DAY)
    saver = one_who_left(fund)
    account, run = scenes.shares_account(saver, fund), scenes.run_of(fund, DAY, 1)

    page = office.get(f"/admin/funds/fund/income/{run.pk}/{account.pk}/")
    corrected = click(office, page, "income of 2013-07-03")

    assert "Comes to 1.00" in text_of(page)
    assert "Corrects 3.00 income of 2013-07-03 To be posted -2.00" in text_of(page)
    assert "Of it not there to take -2.00 what is owed, and who paid Posted 0.00" in text_of(page)
    assert links_of(page)["what is owed, and who paid"].endswith(f"{IncomeShortfall.objects.get().pk}/change/")
    assert "Comes to 3.00" in text_of(corrected)
    assert "Corrects" not in text_of(corrected)


def test_a_correction_of_a_run_whose_figures_a_hand_has_changed_is_not_explained(office: Client) -> None:
    fund = scenes.a_fund(DAY)
    account, run = scenes.shares_account(one_who_left(fund), fund), scenes.run_of(fund, DAY, 1)
    base = scenes.run_of(fund, DAY)
    Run.objects.filter(pk=base.pk).update(figures={**base.figures, "per_10k": "x"})

    assert office.get(f"/admin/funds/fund/income/{run.pk}/{account.pk}/").status_code == 404


def test_of_a_day_that_lost_the_page_says_who_bore_a_cent_more(office: Client) -> None:
    fund = scenes.a_fund(DAY)
    lucky, other, _ = three_savers(fund)
    with scenes.on("2013-07-04", "11:00"):
        scenes.publish(fund, {DAY: "-1.46"}, revise=True)
        scenes.sweep()

    first, second = (worked_out(office, saver, fund, revision=1) for saver in (lucky, other))

    assert "Exact income -0.48666618 entitled" in first
    assert "A step of what the cuts left over -0.01 Yes:" in first
    assert "Comes to -0.49" in first
    assert "To be posted -0.98" in first
    assert "A step of what the cuts left over 0.00 No:" in second
    assert "To be posted -0.96" in second
    assert (scenes.incomes(lucky, fund), scenes.incomes(other, fund)) == (["0.49", "-0.98"], ["0.48", "-0.96"])


def test_an_income_is_explained_only_where_there_is_one_and_only_to_who_may_see_accounts(office: Client) -> None:
    fund = scenes.a_fund(DAY)
    saver, *_ = three_savers(fund)
    run, shares = scenes.run_of(fund, DAY), scenes.shares_account(saver, fund)
    cash = Account.objects.get(owner=saver, kind="wallet")
    clerk = User.objects.create(email="clerk@superapp.example", display_name="Clerk", is_staff=True)
    browser = Client()
    browser.force_login(clerk)
    page = f"/admin/funds/fund/income/{run.pk}/{shares.pk}/"

    def answer(*permissions: str) -> int:
        clerk.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        return browser.get(page).status_code

    assert office.get(f"/admin/funds/fund/income/{run.pk}/{cash.pk}/").status_code == 404
    assert office.get(f"/admin/funds/fund/income/{cash.pk}/{shares.pk}/").status_code == 404
    assert [answer(), answer("view_fund"), answer("view_account"), answer("view_fund", "view_account")] == [
        403, 403, 403, 200,
    ]  # fmt: skip
    assert Client().get(page).status_code == 302


def test_a_run_that_has_not_counted_its_day_explains_nothing_yet(office: Client) -> None:
    fund = scenes.a_fund(DAY)
    saver, *_ = three_savers(fund)
    run, account = scenes.run_of(fund, DAY), scenes.shares_account(saver, fund)
    Run.objects.filter(pk=run.pk).update(figures={"decimals": 2, "leftover": "hand_out", "per_10k": "1.46"})

    assert office.get(f"/admin/funds/fund/income/{run.pk}/{account.pk}/").status_code == 404


def test_a_list_of_entries_looks_their_runs_up_at_once(office: Client) -> None:
    fund = scenes.a_fund(DAY)
    saver = scenes.a_saver(fund, "4000.00")
    with scenes.on("2013-07-02", "10:00"):
        scenes.buy(saver, fund, "4000.00")
        scenes.publish(fund, dict.fromkeys((DAY, "2013-07-04", "2013-07-05", "2013-07-06"), "1.46"))
    entries = "/admin/wallet/journalentry/?kind=fund_income"

    def queries(page: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert office.get(page).status_code == 200
        return len(captured)

    scenes.sweep_each_day(DAY, "2013-07-04")
    holding = account_page(scenes.shares_account(saver, fund))
    few = [(queries(page), queries(page))[1] for page in (entries, holding)]
    scenes.sweep_each_day("2013-07-05", "2013-07-07")

    assert JournalEntry.objects.filter(kind="fund_income").count() == 4
    assert [queries(page) for page in (entries, holding)] == few
