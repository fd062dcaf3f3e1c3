"""What the funds tell of a person's activity: which order, or which day's income, a posting was about."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from funds.flows import (
    FUND_CORRECTION,
    FUND_INCOME,
    REDEMPTION_LEFT,
    REDEMPTION_PAID,
    SHORTFALL_COLLECTED,
    SUBSCRIPTION_CONFIRMED,
    SUBSCRIPTION_PLACED,
    SUBSCRIPTION_RETURNED,
)
from wallet.activity import Story, tells_of


@tells_of(SUBSCRIPTION_PLACED, SUBSCRIPTION_RETURNED, SUBSCRIPTION_CONFIRMED, REDEMPTION_LEFT, REDEMPTION_PAID)
def _of_orders(_viewer: UUID, subjects: Sequence[UUID]) -> Mapping[UUID, Story]:
    """A posting on the viewer's own account is about an order of the viewer."""
    return dict.fromkeys(subjects, Story(subject_type="FundOrder"))


@tells_of(FUND_INCOME, FUND_CORRECTION, SHORTFALL_COLLECTED)
def _of_income(_viewer: UUID, subjects: Sequence[UUID]) -> Mapping[UUID, Story]:
    """Income is about a fund's day; its run is no node of the API."""
    return dict.fromkeys(subjects, Story(subject_type=""))
