"""A small ledger to try things on: some wallets in one currency, and the system's accounts."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from django.db import connection, transaction

from payments.flows import TRANSFER_SENT
from superapp import clock
from superapp.ids import uuid7
from superapp.models import User
from wallet import accounts, flows, ledger
from wallet.ledger import Leg, Plan, PostedEntry
from wallet.models import Account, Posting, ReversalRequest
from wallet.verification import LEDGER, Finding, verify


@dataclass(frozen=True, slots=True)
class World:
    """Accounts of one currency."""

    bank: UUID
    in_transit: UUID
    wallets: list[UUID]

    def top_up(self, wallet: int, amount: str) -> PostedEntry:
        """Money from the bank."""
        value = Decimal(amount)
        with transaction.atomic():
            return ledger.post(
                Plan(
                    kind=flows.TOP_UP,
                    subject=uuid7(),
                    legs=[Leg(self.bank, -value), Leg(self.wallets[wallet], value)],
                )
            )[0]

    def send(self, wallet: int, amount: str) -> PostedEntry:
        """Money into transit."""
        with transaction.atomic():
            return ledger.post(self.sending(wallet, amount))[0]

    def sending(self, wallet: int, amount: str) -> Plan:
        """The plan of `send`."""
        value = Decimal(amount)
        legs = [Leg(self.wallets[wallet], -value), Leg(self.in_transit, value)]
        return Plan(kind=TRANSFER_SENT, subject=uuid7(), legs=legs)


def a_ledger(*, balances: Sequence[str] = (), currency: str = "CNY") -> World:
    """A wallet for each balance, funded from the bank."""
    asset = accounts.currency_asset(currency)
    people = [User(phone=f"+8613{uuid7().int % 10**9:09d}", password="!") for _ in balances]
    User.objects.bulk_create(people)
    world = World(
        bank=accounts.system_account(flows.BANK, asset),
        in_transit=accounts.system_account(flows.IN_TRANSIT, asset),
        wallets=[accounts.open_account(owner_id=who.id, kind=flows.WALLET, asset=asset).id for who in people],
    )
    for number, balance in enumerate(balances):
        if Decimal(balance):
            world.top_up(number, balance)
    return world


def taken_back(entry: UUID, *, subject: UUID | None = None) -> UUID:
    """Takes an entry back as the database lets it: with the request that one person made and another approved.

    Answers the reversing entry's id; what `ledger.reverse` refuses leaves no request.
    """
    request, now = subject or uuid7(), clock.now()
    maker, checker = User.objects.bulk_create([User(email=f"{uuid7()}@superapp.test", password="!") for _ in range(2)])
    with transaction.atomic():
        back = ledger.reverse(entry, subject=request).entry_id
        ReversalRequest.objects.create(
            id=request, entry_id=entry, reason="a test", requested_by=maker, requested_at=now
        )
        ReversalRequest.objects.filter(pk=request).update(
            state=ReversalRequest.State.APPROVED, decided_by=checker, decided_at=now, reversal_id=back
        )
    return back


def balance(account: UUID) -> Decimal:
    """The balance on an inline account's row."""
    return Account.objects.get(id=account).balance


def everything() -> list[tuple[object, ...]]:
    """Every row the ledger keeps, to show that nothing changed."""
    rows: list[tuple[object, ...]] = []
    with connection.cursor() as cursor:
        for table in ("wallet_account", "wallet_journalentry", "wallet_posting", "wallet_hold", "wallet_usage"):
            cursor.execute(f"SELECT t::text FROM {table} t ORDER BY 1")
            rows += [(table, *row) for row in cursor.fetchall()]
    return rows


def postings_of(account: UUID) -> list[tuple[int, Decimal, Decimal | None]]:
    """Sequence, amount and balance after of an account's postings, in order."""
    return list(
        Posting.objects.filter(account_id=account)
        .order_by("sequence")
        .values_list("sequence", "amount", "balance_after")
    )


def faults() -> list[Finding]:
    """What the ledger's own checks find. The products' checks would rightly miss the business rows these tests do without."""
    return [finding for found in verify(area=LEDGER).values() for finding in found]
