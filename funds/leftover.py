"""Who gets a step of what the cuts leave over: the largest cut fractions, ties by account id, until none is left.

Decided without a list of holders. The first pass counts each batch's fractions value by value in the few of `BUCKETS` buckets
where the last step is expected (`expected`), and how many lie above and below. Only when it falls elsewhere are all buckets
counted, and the one it falls into is looked at once more (it has `BUCKET_WIDTH` possible values, however many holders). Among
equals at the last value the account ids decide, batch by batch, since batches are ranges of ids.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from funds.arithmetic import FRACTION_UNITS

BUCKETS = 1_000
BUCKET_WIDTH = FRACTION_UNITS // BUCKETS

DEVIATIONS = 4
"""How far from where a part of the holders puts it the last step is still expected, in standard deviations."""

Position = TypeVar("Position")


@dataclass(frozen=True, slots=True)
class Threshold:
    """The last holder who gets a step: fractions above get one, and equal ones up to this account id."""

    fraction: int
    account: UUID | None
    """None: everyone with this fraction."""

    def reaches(self, *, fraction: int, account: UUID) -> bool:
        """Whether a holder with this fraction gets a step."""
        if fraction != self.fraction:
            return fraction > self.fraction
        return self.account is None or account <= self.account


@dataclass(frozen=True, slots=True)
class Crossing:
    """Where the last step falls in a count of holders by fraction: the place, and how many there still get one."""

    place: int
    wanted: int
    count: int

    @property
    def takes_all(self) -> bool:
        """Whether everyone at this place gets a step, so that no closer look is needed."""
        return self.wanted == self.count


def crossing(counts: Mapping[int, int], *, steps: int) -> Crossing:
    """The place (a bucket or a fraction) at which `steps` steps, given from the largest down, run out.

    Raises ValueError when there are fewer holders than steps: the figures do not belong together.
    """
    left = steps
    for place in sorted(counts, reverse=True):
        if left <= counts[place]:
            return Crossing(place=place, wanted=left, count=counts[place])
        left -= counts[place]
    raise ValueError(f"{steps} steps for {sum(counts.values())} holders.")


def expected(counts: Mapping[int, int], *, steps: int) -> tuple[int, int] | None:
    """The first and last bucket between which the day's last step is expected, by some of its holders and their own steps.

    Where fractions lie evenly, n holders leave over n / 2 steps, and where these end is known to 0.29 / sqrt(n) of a step:
    with every holder the difference between the fraction and getting a step or not varies by that much. A guess: where it
    is wrong, a bucket is read once more. None when there is nothing to guess from.
    """
    holders = sum(counts.values())
    if not 0 < steps <= holders:
        return None
    middle = crossing(counts, steps=steps).place
    reach = math.ceil(DEVIATIONS * 0.29 * BUCKETS / math.sqrt(holders))
    return max(0, middle - reach), min(BUCKETS - 1, middle + reach)


def crossing_batch(counts: Iterable[tuple[Position, int]], *, wanted: int) -> tuple[Position, int]:
    """The batch, of those in the order of their account ids, that holds the `wanted`-th equal, and its number there."""
    left = wanted
    for batch, count in counts:
        if left <= count:
            return batch, left
        left -= count
    raise ValueError(f"Fewer than {wanted} holders share the last fraction.")


def merged(parts: Iterable[Mapping[str, int]]) -> dict[int, int]:
    """Counts of several batches, as their figures keep them (keys are text), added up."""
    total: dict[int, int] = {}
    for part in parts:
        for place, count in part.items():
            total[int(place)] = total.get(int(place), 0) + count
    return total
