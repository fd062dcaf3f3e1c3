"""I14: a set is its items one by one. I2, I3, X06: whatever is posted, every asset sums to zero."""

from decimal import Decimal

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payments.flows import TRANSFER_SENT, TRANSFER_SETTLED
from superapp.ids import uuid7
from superapp.sql_files import SqlParameters
from tests.wallet.ledger_world import World, a_ledger, faults, postings_of
from tests.wallet.test_ledger_sets import LEGS
from wallet import ledger
from wallet.balances import balance_of
from wallet.errors import InsufficientFunds
from wallet.ledger import Leg, Plan
from wallet.ledger_sets import post_set

pytestmark = pytest.mark.django_db

cents = st.integers(min_value=1, max_value=6000).map(lambda value: Decimal(value) / 100)
moves = st.lists(st.tuples(st.integers(min_value=0, max_value=3), cents), min_size=1, max_size=12)
openings = st.lists(st.integers(min_value=0, max_value=10000), min_size=4, max_size=4).map(
    lambda balances: [str(Decimal(value) / 100) for value in balances]
)


def _one_by_one(world: World, rows: list[tuple[int, Decimal]]) -> list[bool]:
    written = []
    for wallet, amount in rows:
        legs = [Leg(world.wallets[wallet], -amount), Leg(world.in_transit, amount)]
        try:
            with transaction.atomic():
                ledger.post(Plan(kind=TRANSFER_SENT, subject=uuid7(), legs=legs))
        except InsufficientFunds:
            written.append(False)
        else:
            written.append(True)
    return written


def _as_a_set(world: World, rows: list[tuple[int, Decimal]], *, sign: int) -> list[bool]:
    items = [uuid7() for _ in rows]
    params: SqlParameters = {
        "items": items,
        "wallets": [world.wallets[wallet] for wallet, _ in rows],
        "amounts": [sign * amount for _, amount in rows],
        "other": world.in_transit,
    }
    with transaction.atomic():
        result = post_set(kind=TRANSFER_SENT if sign < 0 else TRANSFER_SETTLED, legs=LEGS, params=params)
    return [item not in result.refused for item in items]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(opening=openings, rows=moves, back=moves)
def test_a_set_is_its_items_one_by_one(
    opening: list[str], rows: list[tuple[int, Decimal]], back: list[tuple[int, Decimal]]
) -> None:
    singles, sets = a_ledger(balances=opening), a_ledger(balances=opening)
    before = balance_of(singles.in_transit)

    by_singles = _one_by_one(singles, rows)
    between = balance_of(singles.in_transit)
    by_set = _as_a_set(sets, rows, sign=-1)

    assert by_set == by_singles
    assert balance_of(sets.in_transit) - between == between - before
    for one, other in zip(singles.wallets, sets.wallets, strict=True):
        assert postings_of(one) == postings_of(other)
    assert all(_as_a_set(sets, back, sign=1))
    assert faults() == []
