"""Activity: read from the postings, newest first, in pages that neither skip nor repeat, without a query per row."""

import base64
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from payments import settlement
from superapp.models import User
from tests.factories import a_payer, a_top_up, a_transfer
from wallet import activity, wallets
from wallet.activity import Item, Position


def all_of(person: User) -> list[Item]:
    return activity.older(owner_id=person.pk, limit=1000).items


def names(items: list[Item]) -> list[tuple[object, int]]:
    return [(item.account.id, item.sequence) for item in items]


def a_busy_person() -> User:
    """Someone with postings on two accounts, taking turns."""
    person, friend = a_payer("50.00"), a_payer("50.00")
    wallets.open_wallet(owner_id=person.pk, currency="USD")
    for number in range(4):
        a_transfer(person, friend, f"{number + 1}.00", note=f"note {number}")
        a_top_up(person, "1.00", currency="USD")
        if number % 2:
            a_transfer(friend, person, "0.50")
            settlement.settle_everything_due()
    return person


def test_it_tells_what_happened_with_whom_and_the_note(db: None) -> None:
    ann, ben = a_payer("100.00"), a_payer("0")
    transfer = a_transfer(ann, ben, "12.34", note="for lunch")
    settlement.settle_everything_due()
    sent, topped_up = all_of(ann)
    (received,) = all_of(ben)
    assert (sent.kind, sent.amount, sent.balance_after) == ("transfer_sent", Decimal("-12.34"), Decimal("87.66"))
    assert (sent.story.counterparty_id, sent.story.note, sent.subject) == (ben.pk, "for lunch", transfer)
    assert (topped_up.kind, topped_up.amount) == ("top_up", Decimal("100.00"))
    assert (topped_up.story.subject_type, topped_up.story.counterparty_id) == ("TopUp", None)
    assert (received.kind, received.amount, received.balance_after) == (
        "transfer_settled",
        Decimal("12.34"),
        Decimal("12.34"),
    )
    assert (received.story.counterparty_id, received.story.note) == (ann.pk, "for lunch")


def test_it_is_newest_first_over_all_accounts(db: None) -> None:
    items = all_of(a_busy_person())
    assert len(items) == 11
    assert len({item.account.id for item in items}) == 2
    times = [item.recorded_at for item in items]
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 11, 12])
def test_pages_in_either_direction_neither_skip_nor_repeat(db: None, size: int) -> None:
    person = a_busy_person()
    everything = names(all_of(person))
    than: Position | None = None
    forward: list[tuple[object, int]] = []
    backward: list[tuple[object, int]] = []
    more = True
    while more:
        page = activity.older(owner_id=person.pk, limit=size, than=than)
        forward += names(page.items)
        than, more = page.items[-1].position, page.more
    assert forward == everything
    than, more = None, True
    while more:
        page = activity.newer(owner_id=person.pk, limit=size, than=than)
        backward = names(page.items) + backward
        than, more = page.items[0].position, page.more
    assert backward == everything


def test_each_item_is_a_place_to_go_on_from_in_both_directions(db: None) -> None:
    person = a_busy_person()
    everything = all_of(person)
    for place, item in enumerate(everything):
        for position in (item.position, activity.read_position(activity.write_position(item.position))):
            older = activity.older(owner_id=person.pk, limit=1000, than=position)
            newer = activity.newer(owner_id=person.pk, limit=1000, than=position)
            assert names(older.items) == names(everything[place + 1 :])
            assert names(newer.items) == names(everything[:place])


def test_what_happens_between_two_pages_is_on_neither_of_the_older_ones(db: None) -> None:
    person = a_busy_person()
    everything = names(all_of(person))
    first = activity.older(owner_id=person.pk, limit=4)
    a_top_up(person, "9.00")
    a_top_up(person, "9.00", currency="USD")
    wallets.open_wallet(owner_id=person.pk, currency="EUR")
    a_top_up(person, "9.00", currency="EUR")
    second = activity.older(owner_id=person.pk, limit=1000, than=first.items[-1].position)
    assert names(first.items) + names(second.items) == everything
    since = activity.newer(owner_id=person.pk, limit=1000, than=first.items[0].position)
    assert [item.amount for item in since.items] == [Decimal("9.00")] * 3


def test_a_cursor_of_another_person_shows_nothing_of_theirs(db: None) -> None:
    person, other = a_busy_person(), a_payer("7.00")
    stolen = all_of(person)[0].position
    assert activity.older(owner_id=other.pk, limit=10, than=stolen).items == []
    assert names(activity.newer(owner_id=other.pk, limit=10, than=stolen).items) == names(all_of(other))


@pytest.mark.parametrize(
    "text",
    ["", "x", "a" * 30, "é", base64.urlsafe_b64encode(b"\0").decode(), base64.urlsafe_b64encode(b"\0" * 25).decode()],
)
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a position"):
        activity.read_position(text)


def test_a_position_of_nowhere_is_written_and_read(db: None) -> None:
    account = wallets.wallet_of(owner_id=a_payer("0").pk, currency="CNY").id
    position = Position({account: 2**40}, at=None)
    assert activity.read_position(activity.write_position(position)) == position


def test_a_page_costs_the_same_few_queries_whatever_its_length(db: None) -> None:
    person = a_busy_person()
    counts = []
    for limit in (1, 11):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            activity.older(owner_id=person.pk, limit=limit)
        counts.append(len(queries))
    assert counts[1] <= 4  # accounts, postings, transfers, top-ups
    assert counts[0] <= counts[1]


def test_two_modules_cannot_tell_of_one_kind() -> None:
    from payments.flows import TRANSFER_SENT

    with pytest.raises(ValueError, match="tell of transfer_sent"):
        activity.tells_of(TRANSFER_SENT)(lambda *_: {})
