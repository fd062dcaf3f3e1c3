"""Who gets a step of what the cuts leave over, found without a list of holders."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funds import income_batches
from funds.arithmetic import FRACTION_UNITS
from funds.leftover import BUCKET_WIDTH, BUCKETS, Threshold, crossing, crossing_batch, expected, merged


def _account(number: int) -> UUID:
    return UUID(int=number)


fractions = st.one_of(st.integers(0, FRACTION_UNITS - 1), st.sampled_from([0, 1, BUCKET_WIDTH, 5 * BUCKET_WIDTH + 7]))


@given(holders=st.lists(fractions, min_size=1, max_size=60), data=st.data())
def test_the_threshold_reaches_the_same_holders_as_sorting_them_all(holders: list[int], data: st.DataObject) -> None:
    steps = data.draw(st.integers(1, len(holders)))
    size = data.draw(st.integers(1, 20))
    batches = [list(enumerate(holders))[start : start + size] for start in range(0, len(holders), size)]

    threshold = _found_in_batches(batches, steps)

    ranked = sorted(range(len(holders)), key=lambda number: (-holders[number], number))
    best = set(ranked[:steps])
    reached = {
        number
        for number, fraction in enumerate(holders)
        if threshold.reaches(fraction=fraction, account=_account(number))
    }
    assert reached == best


def _found_in_batches(batches: list[list[tuple[int, int]]], steps: int) -> Threshold:
    counts = merged(_counted([fraction // BUCKET_WIDTH for _, fraction in batch]) for batch in batches)
    bucket = crossing(counts, steps=steps)
    if bucket.takes_all:
        return Threshold(fraction=bucket.place * BUCKET_WIDTH, account=None)
    ties = [_counted([f for _, f in batch if f // BUCKET_WIDTH == bucket.place]) for batch in batches]
    last = crossing(merged(ties), steps=bucket.wanted)
    if last.takes_all:
        return Threshold(fraction=last.place, account=None)
    position, nth = crossing_batch(
        ((number, tie.get(str(last.place), 0)) for number, tie in enumerate(ties)), wanted=last.wanted
    )
    equal = [number for number, fraction in batches[position] if fraction == last.place]
    return Threshold(fraction=last.place, account=_account(equal[nth - 1]))


def _counted(values: list[int]) -> dict[str, int]:
    return {str(value): values.count(value) for value in values}


def test_more_steps_than_holders_are_a_fault() -> None:
    with pytest.raises(ValueError, match="3 steps for 2 holders"):
        crossing({5: 1, 7: 1}, steps=3)


def test_the_last_step_is_expected_near_where_some_of_the_holders_put_it_the_nearer_the_more_they_are() -> None:
    assert expected(dict.fromkeys(range(BUCKETS), 20), steps=10_000) == (491, 509)
    assert expected(dict.fromkeys(range(BUCKETS), 2_000), steps=1_000_000) == (499, 501)
    assert expected({0: 1, 400: 1}, steps=1) == (0, BUCKETS - 1)


def test_without_a_step_nothing_is_expected_and_figures_that_do_not_fit_are_no_fault() -> None:
    assert expected({}, steps=0) is None
    assert expected({7: 5}, steps=0) is None
    assert expected({7: 5}, steps=6) is None


def test_a_guess_is_kept_only_where_it_costs_little_and_every_batch_has_looked_there() -> None:
    """Else one more batch is counted whole: a wrong guess heals, and a thin batch has no other keep all its fractions."""
    even = {"fractions": {str(bucket): 20 for bucket in range(BUCKETS)}}
    thin = {"fractions": {"0": 1, "400": 1}}
    lumped = {"fractions": {"30": 200, "31": 5, "32": 800}, "near": {"first": 31, "last": 31, "fractions": {}}}

    assert income_batches._worth_looking([even], steps=10_000, accounts=20_000) == (491, 509)
    assert income_batches._worth_looking([thin], steps=1, accounts=2) == (0, BUCKETS - 1)
    assert income_batches._worth_looking([thin], steps=1, accounts=20_000) is None
    assert income_batches._worth_looking([lumped], steps=802, accounts=2) is not None
    assert income_batches._worth_looking([lumped], steps=500, accounts=2) is None
