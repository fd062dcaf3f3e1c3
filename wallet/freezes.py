"""Freezing: an account that the ledger's own checks find wrong loses no more money until a person has looked at it.

case     from    by
open     -       `freeze`, by verification, for each inline account that a finding names
lifted   open    `lift`, by an operator, with a reason

While its case is open, money out of the account is refused (ACCOUNT_FROZEN) and so is a new hold; money in is taken and kept,
holds are released and lapse. Nothing is repaired here. Accounts of the system are never frozen: every payment would stop;
findings about them are only reported. An account whose case was lifted is not frozen again for the same finding.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connection, transaction

from superapp import clock
from superapp.errors import NotFound
from superapp.models import User
from wallet.assurance import AccountFreeze
from wallet.errors import AccountFrozen
from wallet.models import Account, Hold

FINDINGS_KEPT = 20
"""Lines of a case; the rest is in the output of the verification."""

_ACCOUNT = re.compile(r"(?:account|posting) ([0-9a-f]{8}-[0-9a-f-]{27})(?:#\d+)?\Z")
_HOLD = re.compile(r"hold ([0-9a-f]{8}-[0-9a-f-]{27})\Z")


@dataclass(frozen=True, slots=True)
class Suspicion:
    """One finding, as far as freezing needs it: the row it names, in which check, and whether a seal was broken."""

    row: str
    fault: str
    found_by: str
    reason: AccountFreeze.Reason


def freeze(suspicions: Iterable[Suspicion]) -> list[AccountFreeze]:
    """Opens a case for each open inline account that the findings name, and answers with the new cases, by account.

    A finding names an account by itself, by a posting or by a hold; one that names an entry, an order or a run is nobody's
    account. An account whose case is open keeps that one.
    """
    against = _by_account(suspicions)
    if not against:
        return []
    with transaction.atomic():
        return [case for account in _lock(against) if (case := _open(account, against[account])) is not None]


def lift(*, case_id: UUID, by: User, reason: str) -> AccountFreeze:
    """Ends a case: the account may be used again. Says who decided so and why (a reason is required, ValueError without).

    Raises NotFound when there is no such case, or it has been lifted.
    """
    if not reason.strip():
        raise ValueError("A freeze is lifted with a reason.")
    with transaction.atomic():
        account_id = AccountFreeze.objects.filter(pk=case_id).values_list("account_id", flat=True).first()
        if account_id is None:
            raise NotFound(what="case")
        _lock([account_id])
        case = AccountFreeze.objects.filter(pk=case_id, lifted_at__isnull=True).first()
        if case is None:
            raise NotFound(what="case")
        case.lifted_at, case.lifted_by, case.lift_reason = clock.now(), by, reason.strip()
        case.save(update_fields=["lifted_at", "lifted_by", "lift_reason"])
        Account.objects.filter(pk=account_id).update(frozen=False)
    return case


def account_frozen(account_id: UUID) -> AccountFrozen:
    """The refusal, with the case that an operator will look for."""
    case = (
        AccountFreeze.objects.filter(account_id=account_id, lifted_at__isnull=True).values_list("pk", flat=True).first()
    )
    return AccountFrozen(case=case)


def _by_account(suspicions: Iterable[Suspicion]) -> Mapping[UUID, Sequence[Suspicion]]:
    found: dict[UUID, list[Suspicion]] = {}
    holds: dict[UUID, list[Suspicion]] = {}
    for each in suspicions:
        if match := _ACCOUNT.match(each.row):
            found.setdefault(UUID(match[1]), []).append(each)
        elif match := _HOLD.match(each.row):
            holds.setdefault(UUID(match[1]), []).append(each)
    for hold, account in Hold.objects.filter(pk__in=holds).values_list("pk", "account_id"):
        found.setdefault(account, []).extend(holds[hold])
    return found


def _lock(accounts: Iterable[UUID]) -> list[UUID]:
    """The inline accounts among them, locked in the order in which everyone locks."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM wallet_account WHERE id = ANY(%s::uuid[]) AND NOT folded ORDER BY id FOR NO KEY UPDATE",
            [list(accounts)],
        )
        return [row[0] for row in cursor.fetchall()]


def _open(account: UUID, suspicions: Sequence[Suspicion]) -> AccountFreeze | None:
    lines = dict.fromkeys(f"{each.row}: {each.fault}" for each in suspicions)
    finding = "\n".join(list(lines)[:FINDINGS_KEPT])
    cases = AccountFreeze.objects.filter(account_id=account)
    if cases.filter(lifted_at__isnull=True).exists() or cases.filter(finding=finding).exists():
        return None
    sealed = next((each for each in suspicions if each.reason == AccountFreeze.Reason.SEAL), suspicions[0])
    Account.objects.filter(pk=account).update(frozen=True)
    return AccountFreeze.objects.create(
        account_id=account,
        reason=sealed.reason,
        found_by=sealed.found_by,
        finding=finding,
        opened_at=clock.now(),
    )
