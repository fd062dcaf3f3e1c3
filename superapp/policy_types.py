"""The types a policy's value can have: how it is written in JSON, what it becomes in the code, what is refused."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time, timedelta
from decimal import Decimal
from typing import Protocol, TypeVar

from superapp.errors import InvalidAmount
from superapp.money import money

T_co = TypeVar("T_co", covariant=True)


class PolicyType(Protocol[T_co]):
    """Reads a value as JSON has it. `hint` tells an operator how to write one."""

    @property
    def hint(self) -> str:
        """How the value is written."""
        ...

    def parse(self, value: object) -> T_co:
        """The typed value. Raises ValueError with a reason for people."""
        ...


@dataclass(frozen=True)
class MoneyAmounts:
    """An amount for each of some currencies, none below zero: {"CNY": "1000.00"}. A currency left out has no ruling."""

    hint: str = 'amounts by currency, e.g. {"CNY": "1000.00"}'

    def parse(self, value: object) -> Mapping[str, Decimal]:
        """Decimals by currency code."""
        if not isinstance(value, Mapping) or not value:
            raise ValueError(f"it must be written as {self.hint}")
        amounts: dict[str, Decimal] = {}
        for currency, amount in value.items():
            if not isinstance(amount, str):
                raise ValueError(f"the amount for {currency} must be text, e.g. '1000.00'")
            try:
                amounts[currency] = money(amount, currency).amount
            except InvalidAmount as problem:
                raise ValueError(f"{currency} {amount}: {problem.reason}") from problem
            if amounts[currency] < 0:
                raise ValueError(f"the amount for {currency} is below zero")
        return amounts


@dataclass(frozen=True)
class Count:
    """A whole number within bounds."""

    minimum: int = 0
    maximum: int = 1_000_000_000
    hint: str = "a whole number"

    def parse(self, value: object) -> int:
        """The number."""
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError("it must be a whole number")
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"it must lie between {self.minimum} and {self.maximum}")
        return value


@dataclass(frozen=True)
class DurationSeconds:
    """A length of time, written in whole seconds."""

    minimum: int = 0
    maximum: int = 10 * 366 * 86_400
    hint: str = "whole seconds, e.g. 86400 for a day"

    def parse(self, value: object) -> timedelta:
        """The length as a timedelta."""
        return timedelta(seconds=Count(self.minimum, self.maximum).parse(value))


@dataclass(frozen=True)
class TimeOfDay:
    """A time of day in the zone of whatever the policy rules, written "15:00" or "15:00:30"."""

    hint: str = 'a time of day, e.g. "15:00"'

    def parse(self, value: object) -> time:
        """The time, without a zone."""
        if not isinstance(value, str) or not re.fullmatch(r"[0-9]{2}:[0-9]{2}(:[0-9]{2})?", value, re.ASCII):
            raise ValueError('it must be written as a time of day, e.g. "15:00"')
        return time.fromisoformat(value)


@dataclass(frozen=True)
class Rate:
    """A share of something as a plain decimal fraction: "0.006" is 0.6 %."""

    minimum: Decimal = Decimal(0)
    maximum: Decimal = Decimal(1)
    decimals: int = 8
    hint: str = 'a fraction, e.g. "0.006" for 0.6 %'

    def parse(self, value: object) -> Decimal:
        """The fraction."""
        if not isinstance(value, str) or not re.fullmatch(r"-?[0-9]{1,6}(\.[0-9]{1,12})?", value, re.ASCII):
            raise ValueError('it must be written as a fraction, e.g. "0.006" for 0.6 %')
        rate = Decimal(value)
        if not self.minimum <= rate <= self.maximum:
            raise ValueError(f"it must lie between {self.minimum} and {self.maximum}")
        if rate != round(rate, self.decimals):
            raise ValueError(f"it has more than {self.decimals} decimals")
        return rate


@dataclass(frozen=True)
class Flag:
    """Yes or no."""

    hint: str = "true or false"

    def parse(self, value: object) -> bool:
        """The flag."""
        if not isinstance(value, bool):
            raise ValueError("it must be true or false")
        return value


@dataclass(frozen=True)
class Choice:
    """One of a closed set of words."""

    options: tuple[str, ...]

    @property
    def hint(self) -> str:
        """The words."""
        return "one of " + ", ".join(f'"{option}"' for option in self.options)

    def parse(self, value: object) -> str:
        """The word."""
        if not isinstance(value, str) or value not in self.options:
            raise ValueError(f"it must be {self.hint}")
        return value
