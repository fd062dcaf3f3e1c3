"""A fund's day in plain Python, written from the rules alone: what the runs are compared with."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from uuid import UUID

CENT = Fraction(1, 100)


@dataclass(frozen=True)
class Day:
    """What a day comes to, exactly."""

    incomes: dict[UUID, Fraction]
    distributable: Fraction
    carried: Fraction
    left: Fraction
    remainder: Fraction


def cut(amount: Fraction) -> Fraction:
    """To the cent, toward zero."""
    return int(amount / CENT) * CENT


def day(
    *, entitled: Mapping[UUID, Fraction], y: Fraction, remainder: Fraction = Fraction(0), policy: str = "hand_out"
) -> Day:
    """A day of a fund whose y is published."""
    exact = {account: shares * y / 10_000 for account, shares in entitled.items() if shares}
    incomes = {account: cut(income) for account, income in exact.items()}
    total = sum(exact.values(), remainder)
    distributable = cut(total)
    over = distributable - sum(incomes.values())
    if policy == "hand_out":
        step = CENT if over > 0 else -CENT
        ranked = sorted(incomes, key=lambda account: (-abs(exact[account] - incomes[account]), account))
        for account in ranked[: abs(int(over / CENT))]:
            incomes[account] += step
        over = Fraction(0)
    return Day(
        incomes={account: income for account, income in incomes.items() if income},
        distributable=distributable,
        carried=Fraction(0),
        left=over,
        remainder=total - distributable,
    )


def derived_day(*, entitled: Mapping[UUID, Fraction], net_income: Fraction, brought_forward: Fraction) -> Day:
    """A day of a fund that carries: y is derived, what the cuts leave over goes to tomorrow."""
    shares = sum(entitled.values(), Fraction(0))
    y = Fraction(int((net_income + brought_forward) * 10_000 / shares * 10_000), 10_000) if shares else Fraction(0)
    incomes = {account: cut(held * y / 10_000) for account, held in entitled.items()}
    return Day(
        incomes={account: income for account, income in incomes.items() if income},
        distributable=net_income,
        carried=net_income + brought_forward - sum(incomes.values()),
        left=Fraction(0),
        remainder=Fraction(0),
    )
