"""What the wallet refuses. The ledger's refusals come first; each product's follow under their own heading."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from superapp.errors import DomainError
from superapp.money import exact
from wallet.models import Asset

# The ledger


@dataclass(eq=False)
class InsufficientFunds(DomainError):
    """A posting would take more from an account than is available (balance less held, plus credit limit)."""

    code = "INSUFFICIENT_FUNDS"
    message = "Only {available} {asset} is available; add money or ask for less."
    available: Decimal
    asked: Decimal
    asset: str


def insufficient_funds(available: Decimal, asked: Decimal, asset: Asset) -> InsufficientFunds:
    """The refusal with its figures in the asset's minor unit; what is available never shows as less than zero."""
    shown = exact(max(available, Decimal(0)), decimals=asset.decimals, largest=None)
    return InsufficientFunds(available=shown, asked=exact(asked, decimals=asset.decimals), asset=asset.code)


@dataclass(eq=False)
class AccountClosed(DomainError):
    """A posting names an account that has been closed."""

    code = "ACCOUNT_CLOSED"
    message = "This account is closed and takes no more money; choose another."


@dataclass(eq=False)
class AccountFrozen(DomainError):
    """Money would leave an account whose books are being looked at. `case`: what an operator knows the matter by."""

    code = "ACCOUNT_FROZEN"
    message = (
        "This account is frozen while its books are looked at (case {case}): {allowed}. Ask support, naming the case."
    )
    case: UUID | None
    allowed: str = "money can be received, none can leave"


@dataclass(eq=False)
class HoldLapsed(DomainError):
    """What was set aside cannot be taken any more: its term has come, and the money is free again."""

    code = "HOLD_LAPSED"
    message = "What was set aside lapsed at {lapsed_at} and is free again; place a new request."
    lapsed_at: datetime


@dataclass(eq=False)
class AlreadyReversed(DomainError):
    """An entry is taken back once; this one has been."""

    code = "ALREADY_REVERSED"
    message = "Entry {entry} has been taken back already, and that is done once; look at the entry that did it."
    entry: UUID


@dataclass(eq=False)
class EntryNotReversible(DomainError):
    """An entry of a kind that the flow table does not let be reversed."""

    code = "ENTRY_NOT_REVERSIBLE"
    message = "An entry of kind {kind} is not taken back by a reversal; use what its product offers to undo it."
    kind: str


@dataclass(eq=False)
class ReversalStanding(DomainError):
    """The entry has a request that is open or was approved."""

    code = "REVERSAL_STANDING"
    message = "A reversal of this entry has been requested already and is {state}."
    state: str


@dataclass(eq=False)
class ReversalDecided(DomainError):
    """The request has been approved or declined, and stays so."""

    code = "REVERSAL_DECIDED"
    message = "This request has been decided already: it was {state}."
    state: str


@dataclass(eq=False)
class SecondPersonNeeded(DomainError):
    """Who asked for a reversal cannot approve it."""

    code = "SECOND_PERSON_NEEDED"
    message = "A reversal is approved by another person than the one who asked for it."


@dataclass(eq=False)
class CapacityExhausted(DomainError):
    """What many share would be exceeded. `remaining` is the most that would be accepted now."""

    code = "CAPACITY_EXHAUSTED"
    message = "Of {limit} altogether {remaining} is left for everybody; ask for less or come back later."
    capacity: str
    scope: str
    limit: Decimal
    used: Decimal
    remaining: Decimal


class LedgerFault(Exception):
    """The caller's plan is not one the ledger can write: a mistake in code, never in input. Nothing is written."""


# Wallets and limits


@dataclass(eq=False)
class WalletNotOpen(DomainError):
    """The person has no wallet in that currency."""

    code = "WALLET_NOT_OPEN"
    message = "There is no wallet in {currency} yet; open one first."
    currency: str


@dataclass(eq=False)
class LimitExceeded(DomainError):
    """A limit of a dated policy would be passed. `remaining` is the most that would be accepted now."""

    code = "LIMIT_EXCEEDED"
    message = "The limit is {limit} {currency}, of which {remaining} remains; ask for less."
    rule: str
    rule_version: int
    currency: str
    limit: Decimal
    used: Decimal
    remaining: Decimal
    resets_at: datetime | None


# The payment PIN


@dataclass(eq=False)
class PinNotSet(DomainError):
    """Money leaves a wallet only with a payment PIN, and this person has none yet."""

    code = "PIN_NOT_SET"
    stored_with_key = False
    message = "No payment PIN is set; set one first."


@dataclass(eq=False)
class PinAlreadySet(DomainError):
    """A PIN is there already; it is changed with the old one, never set over."""

    code = "PIN_ALREADY_SET"
    stored_with_key = False
    message = "A payment PIN is set already; change it with the current one."


@dataclass(eq=False)
class PinRequired(DomainError):
    """The request carries no PIN. Nothing was tried, nothing is counted."""

    code = "PIN_REQUIRED"
    stored_with_key = False
    message = "This needs the payment PIN."


@dataclass(eq=False)
class PinWrong(DomainError):
    """The PIN is not the right one. Not stored under the key: the same request may come again with the right one."""

    code = "PIN_WRONG"
    stored_with_key = False
    message = "The payment PIN is wrong; {tries_left} more tries before it is locked."
    tries_left: int


@dataclass(eq=False)
class PinLocked(DomainError):
    """Too many wrong tries: until then the right PIN is refused too, and no look is taken."""

    code = "PIN_LOCKED"
    stored_with_key = False
    message = "The payment PIN is locked until {until}."
    until: datetime


@dataclass(eq=False)
class PinWeak(DomainError):
    """A PIN that is not six digits, or one of those that are guessed first."""

    code = "PIN_WEAK"
    stored_with_key = False
    message = "This PIN cannot be used: {reason}."
    reason: str
