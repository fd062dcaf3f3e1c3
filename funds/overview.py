"""What a catalogue shows of each fund: its figures with their day, whether they are stale, its terms. Read only.

A constant number of queries, however many funds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from funds import yields
from funds.catalogue import ALLOWED, Operation
from funds.models import Fund, FundTerms, TermsAcceptance
from funds.yields import DayYield
from superapp import clock


@dataclass(frozen=True, slots=True)
class Overview:
    """One fund as a person sees it."""

    fund: Fund
    last: DayYield | None
    """The latest figure of a day that is over."""
    stale: bool
    """Whether yesterday's figure is still missing."""
    terms: FundTerms | None
    terms_accepted: bool
    """Whether this person has accepted the version in force."""

    def allows(self, operation: Operation) -> bool:
        """Whether the fund's state allows it now."""
        return operation in ALLOWED[Fund.State(self.fund.state)]

    @property
    def seven_day(self) -> Decimal | None:
        """The 7-day yield, percent."""
        return self.last.seven_day if self.last else None


def overviews(funds: Sequence[Fund], *, person_id: UUID | None) -> list[Overview]:
    """The funds as this person, or someone who has not signed in, sees them, in the given order."""
    last = yields.last_over(funds) if funds else {}
    terms = {
        found.fund_id: found
        for found in FundTerms.objects.filter(fund__in=funds, effective_from__lte=clock.now())
        .order_by("fund_id", "-version")
        .distinct("fund_id")
    }
    accepted: set[UUID] = set()
    if person_id is not None:
        in_force = [found.id for found in terms.values()]
        acceptances = TermsAcceptance.objects.filter(person_id=person_id, terms_id__in=in_force)
        accepted = set(acceptances.values_list("terms_id", flat=True))
    return [
        Overview(
            fund=fund,
            last=last.get(fund.id),
            stale=fund.id not in last or last[fund.id].day < yields.yesterday_of(fund),
            terms=terms.get(fund.id),
            terms_accepted=fund.id in terms and terms[fund.id].id in accepted,
        )
        for fund in funds
    ]
