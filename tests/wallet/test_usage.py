"""Usage is written with the postings, on the business day of the act, and given back on the day that was counted."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from payments.flows import TRANSFER, TRANSFER_RETURNED, TRANSFER_SENT, TRANSFER_SETTLED
from superapp import clock
from superapp.ids import uuid7
from tests.owners_hand import the_owners_hand
from tests.picture import nothing_changes
from tests.wallet.ledger_world import World, a_ledger, faults
from wallet import flows, ledger, usage
from wallet.accounts import currency_asset
from wallet.errors import InsufficientFunds, LedgerFault
from wallet.ledger import Leg, Plan
from wallet.ledger_sets import SetResult, post_set
from wallet.models import Account, Usage
from wallet.usage import Span, Used

pytestmark = pytest.mark.django_db

MIDNIGHT = datetime(2030, 3, 1, 0, 0, tzinfo=clock.business_zone())
FIRST_OF_MARCH, DAY = date(2030, 3, 1), timedelta(days=1)
MOMENT = timedelta(microseconds=1)

Row = tuple[int, str, date, Decimal, int]


def rows(world: World) -> list[Row]:
    """Wallet, class, day, amount and count of every usage row there is."""
    return [
        (world.wallets.index(row.account_id), row.usage_class, row.day, row.amount, row.count)
        for row in Usage.objects.order_by("day", "account_id")
    ]


def returning(world: World, sent: Plan, amount: str, *, counted_on: date | None) -> Plan:
    """The plan that gives a sender back what `sent` took."""
    value = Decimal(amount)
    legs = [Leg(world.in_transit, -value), Leg(sent.legs[0].account, value)]
    return Plan(kind=TRANSFER_RETURNED, subject=sent.subject, legs=legs, counted_on=counted_on)


def test_what_is_sent_is_counted_on_the_business_day_it_is_recorded() -> None:
    with clock.stopped_at(MIDNIGHT - MOMENT):
        world = a_ledger(balances=["100.00", "100.00"])
        world.send(0, "10.00")
    with clock.stopped_at(MIDNIGHT):
        world.send(0, "1.00")
        world.send(0, "2.50")
        world.send(1, "7.00")

    assert sorted(rows(world)) == sorted([
        (0, "transfer", FIRST_OF_MARCH - DAY, Decimal("10.00"), 1),
        (0, "transfer", FIRST_OF_MARCH, Decimal("3.50"), 2),
        (1, "transfer", FIRST_OF_MARCH, Decimal("7.00"), 1),
    ])  # fmt: skip
    assert faults() == []


def test_a_kind_without_a_class_writes_no_usage_and_what_is_refused_neither() -> None:
    world = a_ledger(balances=["100.00"])
    assert Usage.objects.count() == 0

    with pytest.raises(InsufficientFunds), nothing_changes(), transaction.atomic():
        ledger.post(world.sending(0, "60.00"), world.sending(0, "60.00"))

    assert Usage.objects.count() == 0


def test_several_plans_of_one_call_are_one_row() -> None:
    with clock.stopped_at(MIDNIGHT):
        world = a_ledger(balances=["100.00"])
        ledger.post(world.sending(0, "60.00"), world.sending(0, "30.00"))

    assert rows(world) == [(0, "transfer", FIRST_OF_MARCH, Decimal(90), 2)]


def test_what_comes_back_is_taken_off_the_day_it_was_counted_on() -> None:
    world = a_ledger(balances=["100.00"])
    sent = world.sending(0, "10.00")
    with clock.stopped_at(MIDNIGHT):
        ledger.post(sent)
        world.send(0, "5.00")
    with clock.stopped_at(MIDNIGHT + 3 * DAY):
        world.send(0, "1.00")
        ledger.post(returning(world, sent, "10.00", counted_on=FIRST_OF_MARCH))

    assert rows(world) == [
        (0, "transfer", FIRST_OF_MARCH, Decimal(5), 1),
        (0, "transfer", FIRST_OF_MARCH + 3 * DAY, Decimal(1), 1),
    ]
    assert faults() == []


def test_a_return_names_its_day_and_nothing_else_does() -> None:
    world = a_ledger(balances=["100.00"])
    sent = world.sending(0, "10.00")
    ledger.post(sent)
    counted = Plan(kind=sent.kind, subject=uuid7(), legs=sent.legs, counted_on=FIRST_OF_MARCH)
    top_up = [Leg(world.bank, Decimal(-1)), Leg(world.wallets[0], Decimal(1))]

    for plan in (
        returning(world, sent, "10.00", counted_on=None),
        counted,
        Plan(kind=flows.TOP_UP, subject=uuid7(), legs=top_up, counted_on=FIRST_OF_MARCH),
    ):
        with pytest.raises(LedgerFault, match=r"names? (the|a) day"), nothing_changes(), transaction.atomic():
            ledger.post(plan)


@pytest.mark.parametrize(("amount", "day"), [("10.01", FIRST_OF_MARCH), ("10.00", FIRST_OF_MARCH + DAY)])
def test_more_than_was_used_or_from_another_day_cannot_be_given_back(amount: str, day: date) -> None:
    with clock.stopped_at(MIDNIGHT):
        world = a_ledger(balances=["100.00"])
        sent = world.sending(0, "10.00")
        ledger.post(sent)
        world.top_up(0, "1.00")

        with pytest.raises(IntegrityError, match="no_more_is_given_back"), nothing_changes(), transaction.atomic():
            ledger.post(returning(world, sent, amount, counted_on=day))

    assert rows(world) == [(0, "transfer", FIRST_OF_MARCH, Decimal(10), 1)]


LEGS = """
    SELECT i.item, i.place AS position, i.wallet AS account_id, i.amount, i.item AS subject, %(other)s::uuid AS against
    FROM unnest(%(items)s::uuid[], %(wallets)s::uuid[], %(amounts)s::numeric[]) WITH ORDINALITY
         AS i (item, wallet, amount, place)
"""


def _set(world: World, kind: flows.EntryKind, moves: list[tuple[object, int, str]], **options: object) -> SetResult:
    params = {
        "items": [item for item, _, _ in moves],
        "wallets": [world.wallets[wallet] for _, wallet, _ in moves],
        "amounts": [Decimal(amount) for _, _, amount in moves],
        "other": world.in_transit,
        "day": FIRST_OF_MARCH,
    }
    with transaction.atomic():
        return post_set(kind=kind, legs=LEGS, params=params, paired=True, **options)  # type: ignore[arg-type]


def test_a_set_counts_and_gives_back_like_its_items_one_by_one() -> None:
    with clock.stopped_at(MIDNIGHT):
        world = a_ledger(balances=["100.00", "100.00", "0"])
        one, two, three, four = (uuid7() for _ in range(4))
        sent = _set(world, TRANSFER_SENT, [(one, 0, "-10"), (two, 0, "-20"), (three, 1, "-30"), (four, 2, "-1")])
        assert sent.refused == {four: "INSUFFICIENT_FUNDS"}
        assert rows(world) == [(0, "transfer", FIRST_OF_MARCH, 30, 2), (1, "transfer", FIRST_OF_MARCH, 30, 1)]
    with clock.stopped_at(MIDNIGHT + DAY):
        back = "SELECT unnest(%(items)s::uuid[]) AS item, %(day)s::date AS day"
        _set(world, TRANSFER_RETURNED, [(one, 0, "10"), (three, 1, "30")], counted_on=back)
        _set(world, TRANSFER_SETTLED, [(two, 2, "20")])

    assert rows(world) == [(0, "transfer", FIRST_OF_MARCH, 20, 1), (1, "transfer", FIRST_OF_MARCH, 0, 0)]
    assert faults() == []


def test_a_set_that_gives_back_names_a_day_for_every_item() -> None:
    world = a_ledger(balances=["100.00"])
    item = uuid7()
    _set(world, TRANSFER_SENT, [(item, 0, "-10")])

    with pytest.raises(LedgerFault, match="names the days"), nothing_changes():
        _set(world, TRANSFER_RETURNED, [(item, 0, "10")])
    none = "SELECT NULL::uuid AS item, %(day)s::date AS day WHERE false"
    with pytest.raises(IntegrityError), nothing_changes():
        _set(world, TRANSFER_RETURNED, [(item, 0, "10")], counted_on=none)


def test_a_persons_day_week_year_and_lifetime_are_read_in_one_query(
    django_assert_num_queries: pytest.FixtureRequest,
) -> None:
    world = a_ledger(balances=["100.00", "100.00", "100.00"])
    mine = world.wallets[:2]
    for ago, wallet, amount in ((400, 0, "1.00"), (30, 1, "2.00"), (3, 0, "4.00"), (0, 1, "8.00"), (0, 2, "16.00")):
        with clock.stopped_at(MIDNIGHT + 500 * DAY - ago * DAY):
            world.send(wallet, amount)
    today = FIRST_OF_MARCH + 500 * DAY

    with django_assert_num_queries(1):  # type: ignore[operator]
        sums = usage.used_over(
            mine, TRANSFER, [Span(today, today), Span(today - 6 * DAY, today), Span(today - 364 * DAY, today), Span()]
        )

    assert sums == [Used(Decimal(8), 1), Used(Decimal(12), 2), Used(Decimal(14), 3), Used(Decimal(15), 4)]
    assert usage.used(mine, TRANSFER, first=today) == Used(Decimal(8), 1)
    assert usage.used([], TRANSFER) == Used(Decimal(0), 0)


def test_one_person_is_counted_over_all_of_their_accounts_in_a_currency() -> None:
    yuan, dollars = a_ledger(balances=["10.00", "10.00"]), a_ledger(balances=["10.00"], currency="USD")
    owner = Account.objects.get(id=yuan.wallets[0]).owner_id
    assert owner is not None
    with the_owners_hand():
        Account.objects.filter(id=dollars.wallets[0]).update(owner=owner)

    mine = usage.accounts_counted_together(owner_id=owner, asset_id=currency_asset("CNY").id, kinds=[flows.WALLET])

    assert mine == [yuan.wallets[0]]


def test_verification_counts_again_and_names_what_differs() -> None:
    with clock.stopped_at(MIDNIGHT):
        world = a_ledger(balances=["100.00"])
        world.send(0, "10.00")
    wallet = world.wallets[0]

    Usage.objects.filter(account_id=wallet).update(amount=Decimal("9.00"))
    assert [(each.invariant, each.row) for each in faults()] == [("I22", f"account {wallet}")]
    Usage.objects.filter(account_id=wallet).update(amount=Decimal("10.00"), count=2)
    assert [each.invariant for each in faults()] == ["I22"]
    Usage.objects.filter(account_id=wallet).update(count=1)
    Usage.objects.create(
        account_id=wallet, usage_class="transfer", day=FIRST_OF_MARCH + DAY, amount=Decimal(0), count=1
    )
    assert [each.fault[:31] for each in faults()] == ["its usage transfer of 2030-03-0"]


def test_a_kind_that_counts_cannot_be_reversible_and_one_gives_back_only_what_another_counts() -> None:
    with pytest.raises(ValueError, match="reversal would not give back"):
        flows.declare_kind(
            "test_kind", legs=[], description="Never declared.", uses=flows.counts(TRANSFER), reversible=True
        )
    with pytest.raises(ValueError, match="does not count"):
        flows.gives_back(TRANSFER, of=flows.TOP_UP)
    assert "test_kind" not in {kind.code for kind in flows.entry_kinds()}
