"""Dated policy: limits, fees, expiries, caps and lock-outs as typed values that rule from an instant on.

A product declares what it needs (`define`), with a default that rules until an operator says otherwise. Each change
is a row with `effective_from`, for everywhere or for one scope (a fund's code); the next row ends it. The past never
changes: `at(instant)` gives the same ruling for ever, and a refusal can name the version that refused.

    DAILY_LIMIT = define("payments.daily_limit", type=MoneyAmounts(), default={"CNY": "50000.00"}, doc="...")
    ruling = DAILY_LIMIT.now()         # ruling.value["CNY"], ruling.version

All versions are read in one query per unit of work (`clock.forget` begins one), so a change rules from the next one on. A
request that reads their edition (how many there are, and the sum of their numbers: versions are only ever added) together with
whose it is reads them anew only where the edition is another than this process has in memory.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any, Generic, TypeVar

from django.db import connection

from superapp import clock, unit_of_work
from superapp.errors import PolicyRefused
from superapp.models import PolicyVersion, User
from superapp.policy_types import Choice, Count, DurationSeconds, Flag, MoneyAmounts, PolicyType, Rate, TimeOfDay

__all__ = [
    "Choice",
    "Count",
    "DurationSeconds",
    "Flag",
    "MoneyAmounts",
    "Policy",
    "PolicyType",
    "Rate",
    "Ruling",
    "TimeOfDay",
    "all",
    "change",
    "define",
    "named",
    "validate",
]

T = TypeVar("T")

_VERSIONS = "policy versions"
_EDITION = "policy edition"

EDITION_SQL = "SELECT count(*), coalesce(sum(id), 0)::bigint FROM superapp_policyversion"

_Versions = Mapping[tuple[str, str], tuple["_Version", ...]]


@dataclass(frozen=True, kw_only=True)
class Ruling(Generic[T]):
    """What a policy says at an instant, and which version says so."""

    value: T
    version: int
    """Number of the `PolicyVersion` row; 0 is the default in the code."""
    policy: str
    scope: str
    """The scope the version was made for: the one asked for, or empty when the general version rules."""
    effective_from: datetime | None
    """Since when; None for the default."""
    until: datetime | None
    """When the next version for this scope takes over, if one is planned."""


@dataclass(frozen=True)
class Policy(Generic[T]):
    """A policy as the code declares it."""

    name: str
    type: PolicyType[T]
    default: T
    doc: str

    def at(self, instant: datetime, scope: str = "") -> Ruling[T]:
        """The ruling at `instant`: the scope's own latest version, else the general one, else the default."""
        versions = _versions()
        for candidate in (scope, "") if scope else ("",):
            rows = versions.get((self.name, candidate), ())
            ruling = self._ruling(rows, candidate, instant)
            if ruling is not None:
                return ruling
        return Ruling(value=self.default, version=0, policy=self.name, scope="", effective_from=None, until=None)

    def now(self, scope: str = "") -> Ruling[T]:
        """The ruling at this business instant."""
        return self.at(clock.now(), scope)

    def _ruling(self, rows: tuple["_Version", ...], scope: str, instant: datetime) -> Ruling[T] | None:
        until = None
        for row in rows:  # latest first
            if row.effective_from <= instant:
                return Ruling(
                    value=self.type.parse(row.value),
                    version=row.number,
                    policy=self.name,
                    scope=scope,
                    effective_from=row.effective_from,
                    until=until,
                )
            until = row.effective_from
        return None


@dataclass(frozen=True)
class _Version:
    number: int
    effective_from: datetime
    value: Any


_policies: dict[str, Policy[Any]] = {}
_kept: dict[str, tuple[tuple[str, int, int], _Versions]] = {}


def define(name: str, *, type: PolicyType[T], default: object, doc: str) -> Policy[T]:
    """Declares a policy; once per name, at import. `default` is written as in the admin, or as the typed value."""
    if name in _policies:
        raise ValueError(f"The policy {name} is defined twice.")
    policy = Policy(name=name, type=type, default=type.parse(_as_json(default)), doc=doc)
    _policies[name] = policy
    return policy


def all() -> tuple[Policy[Any], ...]:
    """Every policy the installed apps have declared, by name."""
    return tuple(_policies[name] for name in sorted(_policies))


def named(name: str) -> Policy[Any]:
    """The policy of that name. Raises PolicyRefused when there is none."""
    policy = _policies.get(name)
    if policy is None:
        raise PolicyRefused(policy=name, reason="no installed app knows this policy")
    return policy


def validate(name: str, value: object) -> None:
    """Raises PolicyRefused unless `value` (as JSON has it) is one the policy's type allows."""
    policy = named(name)
    try:
        policy.type.parse(value)
    except ValueError as problem:
        raise PolicyRefused(policy=name, reason=str(problem)) from problem


def change(
    *,
    policy: str,
    value: object,
    effective_from: datetime | None = None,
    scope: str = "",
    reason: str = "",
    by: User | None = None,
) -> PolicyVersion:
    """Plans a new version from `effective_from` on, by default from now.

    Raises PolicyRefused when the type does not allow the value, when the instant has passed (history is never
    rewritten), or when a version for this policy and scope already begins at that instant.
    """
    plain_value = _as_json(value)
    validate(policy, plain_value)
    here = clock.now()
    begins = effective_from or here
    if begins < here:
        raise PolicyRefused(policy=policy, reason=f"{begins.isoformat()} has passed, and history is never rewritten")
    version, created = PolicyVersion.objects.get_or_create(
        policy=policy,
        scope=scope,
        effective_from=begins,
        defaults={"value": plain_value, "reason": reason, "created_by": by},
    )
    if not created:
        raise PolicyRefused(policy=policy, reason="another version begins at the same instant")
    unit_of_work.forget(_VERSIONS)
    unit_of_work.forget(_EDITION)
    return version


def know_edition(count: int, sum_of_numbers: int) -> None:
    """Takes the answer to `EDITION_SQL` as it has just been read, for this unit of work."""
    unit_of_work.know(_EDITION, (connection.settings_dict["NAME"], count, sum_of_numbers))


def _versions() -> _Versions:
    def read() -> _Versions:
        edition = unit_of_work.known(_EDITION)
        kept = _kept.get("last")
        if edition is not None and kept is not None and kept[0] == edition:
            return kept[1]
        found: defaultdict[tuple[str, str], list[_Version]] = defaultdict(list)
        rows = PolicyVersion.objects.order_by("-effective_from").values_list(
            "policy", "scope", "pk", "effective_from", "value"
        )
        for policy, scope, number, effective_from, value in rows:
            found[policy, scope].append(_Version(number, effective_from, value))
        read_now = {name: tuple(versions) for name, versions in found.items()}
        if edition is not None:
            # read after the edition, so never older than it says
            _kept["last"] = (edition, read_now)
        return read_now

    return unit_of_work.remember(_VERSIONS, read)


def _as_json(value: object) -> object:
    match value:
        case Decimal():
            return format(value, "f")
        case time():
            return value.isoformat(timespec="seconds" if value.second else "minutes")
        case timedelta():
            return round(value.total_seconds())
        case Mapping():
            return {key: _as_json(part) for key, part in value.items()}
    return value
