from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from payments.flows import TRANSFER_SENT
from superapp import clock
from superapp.ids import uuid7
from tests.owners_hand import the_owners_hand
from tests.wallet.ledger_world import a_ledger, balance, everything, postings_of
from wallet import accounts, flows, ledger
from wallet.balances import balance_as_of, balance_of
from wallet.errors import AccountClosed, InsufficientFunds, LedgerFault
from wallet.ledger import Leg, Plan
from wallet.models import Account, JournalEntry, Posting

pytestmark = pytest.mark.django_db


def test_an_entry_writes_its_postings_and_moves_the_balance() -> None:
    world = a_ledger(balances=["0"])
    subject = uuid7()

    [posted] = ledger.post(
        Plan(
            kind=flows.TOP_UP,
            subject=subject,
            legs=[Leg(world.bank, Decimal("-100.00")), Leg(world.wallets[0], Decimal("100.00"))],
        )
    )

    assert posted.balances == {world.wallets[0]: Decimal("100.00")}
    assert postings_of(world.wallets[0]) == [(1, Decimal("100.00"), Decimal("100.00"))]
    assert [row[1:] for row in postings_of(world.bank)] == [(Decimal("-100.00"), None)]
    entry = JournalEntry.objects.get(id=posted.entry_id)
    assert (entry.kind, entry.subject, entry.effective_at) == ("top_up", subject, entry.recorded_at)
    assert balance(world.wallets[0]) == Decimal("100.00")
    assert balance_of(world.bank) == Decimal("-100.00")


def test_several_plans_see_each_other_and_are_written_all_or_none() -> None:
    world = a_ledger(balances=["100.00"])
    before = everything()

    with pytest.raises(InsufficientFunds) as refusal, transaction.atomic():
        ledger.post(world.sending(0, "60.00"), world.sending(0, "60.00"))

    assert refusal.value.facts() == {"available": "40.00", "asked": "60.00", "asset": "CNY"}
    assert everything() == before
    ledger.post(world.sending(0, "60.00"), world.sending(0, "40.00"))
    assert balance(world.wallets[0]) == 0
    assert [row[2] for row in postings_of(world.wallets[0])] == [Decimal(100), Decimal(40), Decimal(0)]


def test_a_cent_more_than_is_available_is_refused_and_changes_nothing() -> None:
    world = a_ledger(balances=["100.00"])
    before = everything()

    with pytest.raises(InsufficientFunds), transaction.atomic():
        world.send(0, "100.01")

    assert everything() == before
    world.send(0, "100.00")
    assert balance(world.wallets[0]) == 0


def test_a_credit_limit_lets_the_balance_fall_that_far() -> None:
    world = a_ledger(balances=["10.00"])
    Account.objects.filter(id=world.wallets[0]).update(credit_limit=Decimal("5.00"))

    with pytest.raises(InsufficientFunds), transaction.atomic():
        world.send(0, "15.01")
    world.send(0, "15.00")

    assert balance(world.wallets[0]) == Decimal("-5.00")


def test_a_closed_account_takes_nothing() -> None:
    world = a_ledger(balances=["10.00"])
    Account.objects.filter(id=world.wallets[0]).update(closed=True)
    before = everything()

    with pytest.raises(AccountClosed), transaction.atomic():
        world.top_up(0, "1.00")

    assert everything() == before


@pytest.mark.parametrize(
    ("amounts", "why"),
    [
        (("-1.00", "1.01"), "do not sum to zero"),
        (("-1.001", "1.001"), "not exact"),
        (("1.00", "-1.00"), "may not move"),
        (("0", "0"), "leg of zero"),
        (("NaN", "NaN"), "leg of zero"),
    ],
)
def test_a_plan_that_is_no_entry_is_a_fault(amounts: tuple[str, str], why: str) -> None:
    world = a_ledger(balances=["10.00"])
    before = everything()
    legs = [Leg(world.bank, Decimal(amounts[0])), Leg(world.wallets[0], Decimal(amounts[1]))]

    with pytest.raises(LedgerFault, match=why), transaction.atomic():
        ledger.post(Plan(kind=flows.TOP_UP, subject=uuid7(), legs=legs))

    assert everything() == before


def test_legs_that_balance_only_across_assets_are_a_fault() -> None:
    yuan, dollars = a_ledger(balances=["10.00"]), a_ledger(balances=["10.00"], currency="USD")
    legs = [Leg(yuan.wallets[0], Decimal(-1)), Leg(dollars.in_transit, Decimal(1))]

    with pytest.raises(LedgerFault, match="in each asset"):
        ledger.post(Plan(kind=TRANSFER_SENT, subject=uuid7(), legs=legs))


def test_an_account_that_does_not_exist_is_a_fault() -> None:
    world = a_ledger(balances=["10.00"])
    legs = [Leg(world.wallets[0], Decimal(-1)), Leg(uuid7(), Decimal(1))]

    with pytest.raises(LedgerFault, match="does not exist"):
        ledger.post(Plan(kind=TRANSFER_SENT, subject=uuid7(), legs=legs))


def test_nothing_counts_before_it_is_known_but_may_count_from_earlier() -> None:
    world = a_ledger(balances=["10.00"])
    plan = world.sending(0, "1.00")
    tomorrow, yesterday = (clock.now() + timedelta(days=days) for days in (1, -1))

    with pytest.raises(LedgerFault, match="before it is known"):
        ledger.post(Plan(kind=plan.kind, subject=plan.subject, legs=plan.legs, effective_at=tomorrow))
    [posted] = ledger.post(Plan(kind=plan.kind, subject=plan.subject, legs=plan.legs, effective_at=yesterday))

    wallet = world.wallets[0]
    assert posted.effective_at == yesterday
    assert balance_as_of(wallet, effective=yesterday) == Decimal("-1.00")
    assert balance_as_of(wallet, recorded=posted.recorded_at) == Decimal("9.00")
    assert balance_as_of(wallet, recorded=posted.recorded_at - timedelta(microseconds=1)) == Decimal("10.00")
    assert balance_as_of(wallet) == balance(wallet)


def test_recorded_time_never_falls_on_one_account() -> None:
    world = a_ledger(balances=["10.00"])
    later = clock.now() + timedelta(hours=1)
    with clock.stopped_at(later):
        world.send(0, "1.00")

    posted = ledger.post(world.sending(0, "1.00"), world.sending(0, "1.00"))

    assert [entry.recorded_at for entry in posted] == [later, later]


def test_opening_an_account_twice_gives_the_same_one() -> None:
    world = a_ledger(balances=["0"])
    account = Account.objects.get(id=world.wallets[0])
    assert account.owner_id is not None

    again = accounts.open_account(owner_id=account.owner_id, kind=flows.WALLET, asset=accounts.currency_asset("CNY"))

    assert again.id == account.id


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE wallet_posting SET amount = 1",
        "DELETE FROM wallet_posting",
        "UPDATE wallet_journalentry SET kind = 'x'",
        "DELETE FROM wallet_journalentry",
        "DELETE FROM wallet_account",
        "DELETE FROM wallet_asset",
        "TRUNCATE wallet_posting",
        "ALTER TABLE wallet_posting DISABLE TRIGGER ALL",
    ],
)
def test_the_sites_role_cannot_change_what_is_written(statement: str) -> None:
    a_ledger(balances=["10.00"])
    before = everything()

    with (
        pytest.raises(DatabaseError, match=r"permission denied|must be owner"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)

    assert everything() == before


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        ("UPDATE {} SET tx = tx", "wallet_posting"),
        ("UPDATE {} SET tx = tx", "wallet_journalentry"),
        ("DELETE FROM {}", "wallet_posting"),
        ("DELETE FROM {}", "wallet_journalentry"),
        ("DELETE FROM {}", "wallet_account"),
        ("DELETE FROM {}", "wallet_asset"),
        ("DELETE FROM {}", "wallet_accountfreeze"),
    ],
)
def test_the_owner_cannot_change_or_delete_what_is_written_either(statement: str, table: str) -> None:
    a_ledger(balances=["10.00"])
    before = everything()

    with (
        pytest.raises(DatabaseError, match=f"on {table} is refused: the ledger is append-only"),
        transaction.atomic(),
        the_owners_hand(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement.format(table))

    assert everything() == before


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("balance = -0.01", "available_covers_what_is_spent"),
        ("held = balance + 0.01", "available_covers_what_is_spent"),
        ("credit_limit = 5, balance = -5.01", "available_covers_what_is_spent"),
        ("held = -0.01", "held_is_not_negative"),
    ],
)
def test_the_database_keeps_an_account_from_being_overdrawn_whoever_asks(change: str, constraint: str) -> None:
    """What stands behind INSUFFICIENT_FUNDS, should the ledger ever forget to ask."""
    world = a_ledger(balances=["10.00"])
    before = everything()

    with (
        pytest.raises(IntegrityError, match=constraint),
        transaction.atomic(),
        the_owners_hand(),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"UPDATE wallet_account SET {change} WHERE id = %s", [world.wallets[0]])

    assert everything() == before


def test_the_sites_role_may_read_and_append_entries_and_postings_and_nothing_else() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == ("superapp_site",)
        cursor.execute(
            """
            SELECT table_name, privilege_type FROM information_schema.role_table_grants
            WHERE grantee = 'superapp_site' AND table_name IN ('wallet_posting', 'wallet_journalentry') ORDER BY 1, 2
            """
        )
        assert cursor.fetchall() == [
            ("wallet_journalentry", "INSERT"),
            ("wallet_journalentry", "SELECT"),
            ("wallet_posting", "INSERT"),
            ("wallet_posting", "SELECT"),
        ]


def _insert_posting(
    *, entry: UUID, account: UUID, amount: str, sequence: int, tx: str = "pg_current_xact_id()::text::bigint"
) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO wallet_posting (account_id, sequence, entry_id, asset_id, amount, balance_after, subject,
                                        effective_at, recorded_at, tx)
            SELECT %s, %s, e.id, a.asset_id, %s, %s, e.subject, e.effective_at, e.recorded_at, {tx}
            FROM wallet_journalentry e, wallet_account a WHERE e.id = %s AND a.id = %s
            """,
            [account, sequence, amount, amount, entry, account],
        )


def test_the_database_refuses_postings_out_of_balance_even_from_bare_sql() -> None:
    world = a_ledger(balances=["10.00"])
    posted = world.send(0, "1.00")

    with pytest.raises(DatabaseError, match="do not sum to zero"):
        _insert_posting(entry=posted.entry_id, account=world.wallets[0], amount="1.00", sequence=3)


def test_the_database_refuses_an_entry_that_claims_another_transaction() -> None:
    with pytest.raises(DatabaseError, match="must carry the transaction"), transaction.atomic():
        JournalEntry.objects.create(
            id=uuid7(), kind="top_up", subject=uuid7(), effective_at=clock.now(), recorded_at=clock.now(), tx=1
        )


def test_the_orm_cannot_save_over_a_posting() -> None:
    world = a_ledger(balances=["10.00"])
    posting = Posting.objects.get(account_id=world.wallets[0])
    posting.amount = Decimal("99.00")

    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
        posting.save()

    assert postings_of(world.wallets[0]) == [(1, Decimal(10), Decimal(10))]
