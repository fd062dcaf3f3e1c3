"""What the funds refuse."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from superapp.errors import DomainError


@dataclass(eq=False)
class FundOperationRefused(DomainError):
    """The fund's state does not allow this now; `funds.catalogue.ALLOWED` is the table."""

    code = "FUND_OPERATION_REFUSED"
    message = "{fund} takes no {operation} now: it is {state}."
    fund: str
    operation: str
    state: str


@dataclass(eq=False)
class TermsNotAccepted(DomainError):
    """The person has not accepted the fund's current terms, or names a version that is not the current one."""

    code = "TERMS_NOT_ACCEPTED"
    message = "Accept version {version} of the terms of {fund} first."
    fund: str
    version: int


@dataclass(eq=False)
class BelowMinimum(DomainError):
    """The amount is less than the least this fund takes."""

    code = "BELOW_MINIMUM"
    message = "{fund} takes {minimum} {currency} or more."
    fund: str
    minimum: Decimal
    currency: str


@dataclass(eq=False)
class NothingToRedeem(DomainError):
    """The person holds no shares of the fund that are free."""

    code = "NOTHING_TO_REDEEM"
    message = "There are no free shares of {fund} to redeem."
    fund: str


@dataclass(eq=False)
class RedemptionOfAllOpen(DomainError):
    """A redemption of the whole holding is under way; a second one would have nothing to take."""

    code = "REDEMPTION_OF_ALL_OPEN"
    message = "All shares of {fund} are being redeemed already; they leave on {leave_day}."
    fund: str
    leave_day: date


@dataclass(eq=False)
class OrderNotCancellable(DomainError):
    """The order's cut-off has passed, or it has ended."""

    code = "ORDER_NOT_CANCELLABLE"
    message = "This order could be cancelled until {until}; it is {state}."
    state: str
    until: datetime


class BackdatedIntoFrozenDay(Exception):
    """Work that counts from a day whose entitlements are fixed already: a fault, never an answer. Nothing is written."""
