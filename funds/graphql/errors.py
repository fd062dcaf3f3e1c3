"""The funds' refusals as clients read them."""

from datetime import date, datetime

import strawberry

from funds import errors
from superapp.graphql.errors import UserError, user_error
from superapp.graphql.scalars import Money


@user_error(errors.FundOperationRefused)
class FundOperationRefused(UserError):
    """The fund's state does not allow this now; `Fund.canSubscribe` and `Fund.canRedeem` say what it does."""

    fund: str = strawberry.field(description="The fund's code.")
    operation: str = strawberry.field(description='What was asked: "subscription" or "redemption".')
    state: str = strawberry.field(description="The fund's state, in English.")


@user_error(errors.TermsNotAccepted)
class TermsNotAccepted(UserError):
    """The fund's current terms must be accepted first, with `acceptFundTerms`."""

    fund: str = strawberry.field(description="The fund's code.")
    version: int = strawberry.field(description="The version in force.")


@user_error(errors.BelowMinimum)
class BelowMinimum(UserError):
    """The amount is less than the least this fund takes."""

    minimum: Money = strawberry.field(description="The least.")

    @classmethod
    def facts(cls, error: errors.BelowMinimum) -> dict[str, object]:
        """The minimum with its currency."""
        return {"minimum": Money.of(error.minimum, error.currency)}


@user_error(errors.NothingToRedeem)
class NothingToRedeem(UserError):
    """The viewer has no free shares of the fund."""

    fund: str = strawberry.field(description="The fund's code.")


@user_error(errors.RedemptionOfAllOpen)
class RedemptionOfAllOpen(UserError):
    """All shares are being redeemed already."""

    fund: str = strawberry.field(description="The fund's code.")
    leave_day: date = strawberry.field(description="The day on which they leave.")


@user_error(errors.OrderNotCancellable)
class OrderNotCancellable(UserError):
    """The order's cut-off has passed, or it has ended."""

    state: str = strawberry.field(description="Where the order stands, in English.")
    until: datetime = strawberry.field(description="Until when it could be cancelled.")
