"""The wallet's refusals as clients read them."""

from datetime import datetime

import strawberry

from superapp.graphql.errors import UserError, user_error
from superapp.graphql.scalars import Amount, CurrencyCode, Money
from wallet import errors

PIN_ERRORS = (errors.PinNotSet, errors.PinRequired, errors.PinWrong, errors.PinLocked)
"""What any mutation that takes a payment PIN can answer."""


@user_error(errors.InsufficientFunds)
class InsufficientFunds(UserError):
    """More was asked for than is available."""

    available: Amount = strawberry.field(description="What can be spent now, in the asset's units.")
    asked: Amount = strawberry.field(description="What was asked for, in the asset's units.")
    asset: str = strawberry.field(description="What is counted: an ISO 4217 code, or FUND:<code> for a fund's shares.")


@user_error(errors.AccountFrozen)
class AccountFrozen(UserError):
    """The account's books are being looked at: no money leaves it meanwhile."""

    case: strawberry.ID | None = strawberry.field(description="What support knows the matter by.")
    allowed: str = strawberry.field(description="What can still be done with the account, in English.")

    @classmethod
    def facts(cls, error: errors.AccountFrozen) -> dict[str, object]:
        """The case as an id."""
        return {"case": str(error.case) if error.case else None, "allowed": error.allowed}


@user_error(errors.WalletNotOpen)
class WalletNotOpen(UserError):
    """The viewer has no wallet in that currency yet; `openWallet` opens one."""

    currency: CurrencyCode = strawberry.field(description="The currency asked for.")


@user_error(errors.LimitExceeded)
class LimitExceeded(UserError):
    """A limit would be passed; it carries what a screen needs to explain it."""

    rule: str = strawberry.field(description="The name of the policy that sets the limit.")
    rule_version: int = strawberry.field(description="The version of the policy that ruled; 0 is the built-in default.")
    limit: Money = strawberry.field(description="The limit.")
    used: Money = strawberry.field(description="What counts against it already.")
    remaining: Money = strawberry.field(description="The most that would be accepted now.")
    resets_at: datetime | None = strawberry.field(
        description="When more becomes free; null for a limit on each single one."
    )

    @classmethod
    def facts(cls, error: errors.LimitExceeded) -> dict[str, object]:
        """Amounts with their currency."""
        return {
            "rule": error.rule,
            "rule_version": error.rule_version,
            "limit": Money.of(error.limit, error.currency),
            "used": Money.of(error.used, error.currency),
            "remaining": Money.of(error.remaining, error.currency),
            "resets_at": error.resets_at,
        }


@user_error(errors.PinWrong)
class PinWrong(UserError):
    """The payment PIN is wrong; the try counts."""

    tries_left: int = strawberry.field(description="How many more wrong tries before the PIN is locked.")


@user_error(errors.PinLocked)
class PinLocked(UserError):
    """Too many wrong tries; until then the right PIN is refused too."""

    until: datetime = strawberry.field(description="When the PIN can be used again.")


@user_error(errors.PinWeak)
class PinWeak(UserError):
    """The PIN is not six digits, or one of those that are guessed first."""

    reason: str = strawberry.field(description="Which of these, in English.")
