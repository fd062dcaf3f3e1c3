"""The funds there are: founding one, finding one, what its state allows, its terms.

| state | subscribe | redeem |
|---|---|---|
| open | yes | yes |
| purchases suspended | no | yes |
| redemptions suspended | yes | no |
| closing | no | yes |

Orders that were placed before a state changed run to their end; income goes on in every state.
"""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from enum import Enum
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction

from funds.errors import BackdatedIntoFrozenDay, FundOperationRefused, TermsNotAccepted
from funds.models import Fund, FundTerms, TermsAcceptance
from superapp import clock
from superapp.errors import NotFound
from superapp.money import positive
from wallet.accounts import currency_asset, fund_share_asset
from wallet.models import Asset


class Operation(Enum):
    """What people ask of a fund."""

    SUBSCRIBE = "subscription"
    REDEEM = "redemption"


ALLOWED: Mapping[Fund.State, frozenset[Operation]] = {
    Fund.State.OPEN: frozenset({Operation.SUBSCRIBE, Operation.REDEEM}),
    Fund.State.PURCHASES_SUSPENDED: frozenset({Operation.REDEEM}),
    Fund.State.REDEMPTIONS_SUSPENDED: frozenset({Operation.SUBSCRIBE}),
    Fund.State.CLOSING: frozenset({Operation.REDEEM}),
}

MOVES: Mapping[Fund.State, frozenset[Fund.State]] = {
    Fund.State.OPEN: frozenset({Fund.State.PURCHASES_SUSPENDED, Fund.State.REDEMPTIONS_SUSPENDED, Fund.State.CLOSING}),
    Fund.State.PURCHASES_SUSPENDED: frozenset({Fund.State.OPEN, Fund.State.CLOSING}),
    Fund.State.REDEMPTIONS_SUSPENDED: frozenset({Fund.State.OPEN, Fund.State.CLOSING}),
    Fund.State.CLOSING: frozenset(),
}
"""How a fund's state may change. A closing fund never opens again."""


def found_fund(
    *,
    code: str,
    name: str,
    currency: str,
    first_day: date,
    terms: str,
    minimum: Decimal = Decimal("0.01"),
    leftover: Fund.Leftover = Fund.Leftover.HAND_OUT,
    yield_basis: Fund.YieldBasis = Fund.YieldBasis.PUBLISHED,
    zone: str = "Asia/Shanghai",
) -> Fund:
    """A new fund, open, with the first version of its terms and the asset of its shares.

    Funds that carry monthly are not offered yet (a database constraint says so too). Raises InvalidAmount for a minimum
    that is no amount of the currency.
    """
    with transaction.atomic():
        fund = Fund.objects.create(
            code=code,
            name=name,
            currency=currency,
            zone=str(ZoneInfo(zone)),
            first_day=first_day,
            minimum=positive(minimum, currency).amount,
            leftover=leftover,
            yield_basis=yield_basis,
            created_at=clock.now(),
        )
        share_asset(fund)
        publish_terms(fund=fund, text=terms)
    return fund


def fund_named(code: str) -> Fund:
    """The fund of that code. Raises NotFound."""
    fund = Fund.objects.filter(code=code).first()
    if fund is None:
        raise NotFound(what="fund")
    return fund


def zone_of(fund: Fund) -> ZoneInfo:
    """The zone in which the fund's days and cut-offs are read."""
    return ZoneInfo(fund.zone)


def share_asset(fund: Fund) -> Asset:
    """The asset of the fund's shares; it has the decimals of its currency."""
    return fund_share_asset(fund.code, decimals=cash_asset(fund).decimals)


def cash_asset(fund: Fund) -> Asset:
    """The asset the fund is bought with."""
    return currency_asset(fund.currency)


def check_allowed(*, fund: Fund, operation: Operation) -> None:
    """Raises FundOperationRefused when the fund's state does not allow the operation."""
    state = Fund.State(fund.state)
    if operation not in ALLOWED[state]:
        raise FundOperationRefused(fund=fund.code, operation=operation.value, state=state.label.lower())


def set_state(*, fund: Fund, state: Fund.State) -> bool:
    """Moves the fund on; whether this call did. Raises ValueError for a move that does not exist."""
    came_from = Fund.State(fund.state)
    if state not in MOVES[came_from]:
        raise ValueError(f"A fund does not go from {came_from} to {state}.")
    moved = Fund.objects.filter(pk=fund.pk, state=came_from).update(state=state)
    fund.refresh_from_db()
    return bool(moved)


def publish_terms(*, fund: Fund, text: str) -> FundTerms:
    """The next version of the fund's terms, in force from now on."""
    with transaction.atomic():
        Fund.objects.select_for_update(no_key=True).get(pk=fund.pk)
        last = FundTerms.objects.filter(fund=fund).order_by("-version").first()
        return FundTerms.objects.create(
            fund=fund, version=last.version + 1 if last else 1, text=text, effective_from=clock.now()
        )


def current_terms(fund: Fund) -> FundTerms:
    """The version in force now. Raises NotFound for a fund without terms, which cannot be bought."""
    terms = FundTerms.objects.filter(fund=fund, effective_from__lte=clock.now()).order_by("-version").first()
    if terms is None:
        raise NotFound(what="terms")
    return terms


def accept_terms(*, person_id: UUID, fund_code: str, version: int) -> TermsAcceptance:
    """Keeps that the person accepts the fund's current terms; accepting again changes nothing.

    Raises NotFound for an unknown fund, TermsNotAccepted when `version` is not the one in force (its facts name that).
    """
    fund = fund_named(fund_code)
    terms = current_terms(fund)
    if version != terms.version:
        raise TermsNotAccepted(fund=fund.code, version=terms.version)
    acceptance, _ = TermsAcceptance.objects.get_or_create(
        person_id=person_id, terms=terms, defaults={"accepted_at": clock.now()}
    )
    return acceptance


def check_terms_accepted(*, person_id: UUID, fund: Fund) -> None:
    """Raises TermsNotAccepted unless the person has accepted the version in force."""
    terms = current_terms(fund)
    if not TermsAcceptance.objects.filter(person_id=person_id, terms=terms).exists():
        raise TermsNotAccepted(fund=fund.code, version=terms.version)


def lock_against_freezing(*, fund_id: UUID, counting_from: date) -> Fund:
    """Keeps the fund's days as they are until this transaction ends, and reads the row as locked.

    Whatever is written to count from 00:00 of a day holds this lock: without it a day could be frozen between the check
    and the posting, which would then be in nobody's entitlement. Shared: such writers do not wait for each other.
    Raises BackdatedIntoFrozenDay when `counting_from` is frozen already.
    """
    # FOR SHARE, which the ORM does not offer.
    fund = Fund.objects.raw("SELECT * FROM funds_fund WHERE id = %s FOR SHARE", [fund_id])[0]
    if fund.frozen_through is not None and counting_from <= fund.frozen_through:
        raise BackdatedIntoFrozenDay(
            f"{fund.code} is frozen through {fund.frozen_through}; nothing can count from {counting_from} any more."
        )
    return fund
