"""Limits of dated policies, and the refusal that says which one, which version, what was used and what remains."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from superapp.policies import Policy
from wallet.errors import LimitExceeded


def check_single(policy: Policy[Mapping[str, Decimal]], *, amount: Decimal, currency: str, at: datetime) -> None:
    """Refuses one movement above the policy's amount for the currency. Raises LimitExceeded.

    Such a limit counts nothing up, so the whole of it remains and nothing resets.
    """
    ruling = policy.at(at)
    limit = ruling.value.get(currency)
    if limit is not None and amount > limit:
        raise LimitExceeded(
            rule=ruling.policy,
            rule_version=ruling.version,
            currency=currency,
            limit=limit,
            used=Decimal(0),
            remaining=limit,
            resets_at=None,
        )
