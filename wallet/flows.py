"""The flow table: the kinds of account there are, and for each kind of entry which accounts it may move, and which way.

Each app declares its entry kinds at import, in a module `flows.py` of its own; the ledger refuses an entry that does not
fit its kind's row, `verify_ledger` looks again, and the documentation's chart is made from this table.
Positive is what is owed to the account's owner.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from wallet.models import Asset

CASH = Asset.Type.CURRENCY.value
SHARES = Asset.Type.FUND_SHARES.value


class Direction(Enum):
    """Which way a leg may move its account."""

    DEBIT = -1
    CREDIT = 1
    EITHER = 0


@dataclass(frozen=True, slots=True)
class AccountKind:
    """One kind of account. `folded`: the system's, touched by everyone, without a lock; else inline, with a balance."""

    code: str
    folded: bool
    description: str


@dataclass(frozen=True, slots=True)
class FlowLeg:
    """One side of a flow: accounts of this kind, in this type of asset, move in this direction."""

    account: AccountKind
    direction: Direction
    asset_type: str = CASH


@dataclass(frozen=True, slots=True)
class UsageClass:
    """Something that is summed per account and day, so that a limit can ask how much of it there was. None asks yet."""

    code: str
    description: str


@dataclass(frozen=True, slots=True)
class Uses:
    """What an entry does to usage: counts what inline accounts lose, or gives back, when they get it again, what entries of
    the kind `of`, with the same subject, have counted.
    """

    usage_class: UsageClass
    of: "EntryKind | None" = None

    @property
    def gives_back(self) -> bool:
        """Whether it takes usage off again."""
        return self.of is not None


@dataclass(frozen=True, slots=True)
class EntryKind:
    """One row of the flow table: what an entry of this kind may move. Every leg is optional, none may be added.

    `arithmetic`: the page of docs/ that tells how its amounts are worked out, where that takes more than a sentence.
    `reversible`: it may be taken back by a reversal. Not so where a product's row says what became of it: the row would go on
    saying what the ledger no longer shows, and the product has an entry of its own for that.
    """

    code: str
    legs: tuple[FlowLeg, ...]
    description: str
    uses: Uses | None = None
    reversible: bool = False
    arithmetic: str = ""

    def allows(self, account_kind: str, asset_type: str, sign: int) -> bool:
        """Whether a posting of that sign on an account of that kind belongs to this flow."""
        return any(
            leg.account.code == account_kind
            and leg.asset_type == asset_type
            and (leg.direction is Direction.EITHER or leg.direction.value == sign)
            for leg in self.legs
        )

    @property
    def may_debit_owners(self) -> bool:
        """Whether an inline account can lose by it, so that what is available must be looked at."""
        return any(not leg.account.folded and leg.direction is not Direction.CREDIT for leg in self.legs)


_account_kinds: dict[str, AccountKind] = {}
_entry_kinds: dict[str, EntryKind] = {}
_usage_classes: dict[str, UsageClass] = {}


def declare_account_kind(code: str, *, folded: bool, description: str) -> AccountKind:
    """Adds a kind of account. Raises ValueError when the code is taken."""
    if code in _account_kinds:
        raise ValueError(f"The account kind {code} is declared twice.")
    kind = _account_kinds[code] = AccountKind(code=code, folded=folded, description=description)
    return kind


def declare_usage_class(code: str, description: str) -> UsageClass:
    """Adds something that is counted per account and day. Raises ValueError when the code is taken."""
    if code in _usage_classes:
        raise ValueError(f"The usage class {code} is declared twice.")
    usage_class = _usage_classes[code] = UsageClass(code=code, description=description)
    return usage_class


def declare_kind(
    code: str,
    *,
    legs: Iterable[FlowLeg],
    description: str,
    uses: Uses | None = None,
    reversible: bool = False,
    arithmetic: str = "",
) -> EntryKind:
    """Adds a row to the flow table. Raises ValueError when the code is taken, or a reversal would leave usage behind."""
    if code in _entry_kinds:
        raise ValueError(f"The entry kind {code} is declared twice.")
    if uses and reversible:
        raise ValueError(f"The entry kind {code} counts usage, which a reversal would not give back.")
    kind = _entry_kinds[code] = EntryKind(
        code=code,
        legs=tuple(legs),
        description=description,
        uses=uses,
        reversible=reversible,
        arithmetic=arithmetic,
    )
    return kind


def counts(usage_class: UsageClass) -> Uses:
    """What an entry takes from inline accounts is counted on the day it is recorded."""
    return Uses(usage_class)


def gives_back(usage_class: UsageClass, *, of: EntryKind) -> Uses:
    """What an entry gives inline accounts is taken off again, on the day on which the entry of the kind `of` counted it."""
    if of.uses != Uses(usage_class):
        raise ValueError(f"The entry kind {of.code} does not count {usage_class.code}.")
    return Uses(usage_class, of)


def debit(account: AccountKind, asset_type: str = CASH) -> FlowLeg:
    """A leg that lowers what is owed to the account's owner."""
    return FlowLeg(account, Direction.DEBIT, asset_type)


def credit(account: AccountKind, asset_type: str = CASH) -> FlowLeg:
    """A leg that raises what is owed to the account's owner."""
    return FlowLeg(account, Direction.CREDIT, asset_type)


def either(account: AccountKind, asset_type: str = CASH) -> FlowLeg:
    """A leg that may go either way, as on a negative income day."""
    return FlowLeg(account, Direction.EITHER, asset_type)


NOT_IN_TABLE = "Not in the flow table."
"""What is said of a kind that nobody has declared; `verify_ledger` names the rows that have one."""

_SIGN = {Direction.DEBIT: "-", Direction.CREDIT: "+", Direction.EITHER: "±"}
_LETTER = {CASH: "C", SHARES: "S"}


def legs_in_words(kind: EntryKind) -> str:
    """What a row of the table lets move, as the chart and the back office write it: `-wallet +in_transit (C)`."""
    if kind is REVERSAL:
        return "any"
    by_asset: dict[str, list[str]] = {}
    for leg in kind.legs:
        by_asset.setdefault(leg.asset_type, []).append(f"{_SIGN[leg.direction]}{leg.account.code}")
    return "; ".join(f"{' '.join(legs)} ({_LETTER[asset]})" for asset, legs in by_asset.items()) or "none"


def account_kind(code: str) -> AccountKind:
    """The declared kind of account. Raises KeyError when there is none."""
    return _account_kinds[code]


def entry_kind(code: str) -> EntryKind:
    """The declared row of the flow table. Raises KeyError when there is none."""
    return _entry_kinds[code]


def find_account_kind(code: str) -> AccountKind | None:
    """The declared kind of account, or None: for pages that show rows as they are, also such as a hand has changed."""
    return _account_kinds.get(code)


def find_entry_kind(code: str) -> EntryKind | None:
    """The declared row of the flow table, or None: as `find_account_kind`."""
    return _entry_kinds.get(code)


def account_kinds() -> tuple[AccountKind, ...]:
    """Every declared kind of account, by code."""
    return tuple(_account_kinds[code] for code in sorted(_account_kinds))


def entry_kinds() -> tuple[EntryKind, ...]:
    """Every declared row of the flow table, by code."""
    return tuple(_entry_kinds[code] for code in sorted(_entry_kinds))


def usage_classes() -> tuple[UsageClass, ...]:
    """Every declared class of usage, by code."""
    return tuple(_usage_classes[code] for code in sorted(_usage_classes))


# The kinds of account. System accounts of a fund carry the fund's code as their scope.

WALLET = declare_account_kind("wallet", folded=False, description="A person's cash in one currency.")
FUND = declare_account_kind("fund", folded=False, description="A person's shares of one fund.")

BANK = declare_account_kind(
    "bank", folded=True, description="Mirror of the money at the custody bank; normally below zero."
)
IN_TRANSIT = declare_account_kind("in_transit", folded=True, description="Sent and not yet with its recipient.")
OWED = declare_account_kind("owed", folded=True, description="What people owe the system; normally below zero.")
FEES = declare_account_kind("fees", folded=True, description="Fees earned.")
COSTS = declare_account_kind("costs", folded=True, description="What running the system costs; normally below zero.")
FUND_ORDERS = declare_account_kind("fund_orders", folded=True, description="Cash of subscriptions not yet confirmed.")
FUND_CASH = declare_account_kind("fund_cash", folded=True, description="Cash between us and the fund's manager.")
FUND_ISSUED = declare_account_kind("fund_issued", folded=True, description="Shares in issue; normally below zero.")
FUND_UNDISTRIBUTED = declare_account_kind(
    "fund_undistributed", folded=True, description="Income that the cuts left over, carried to the next day (shares)."
)
REDEMPTIONS = declare_account_kind("redemptions", folded=True, description="Cash of redeemed shares not yet paid out.")

# What the wallet itself does.

TOP_UP = declare_kind(
    "top_up",
    legs=[debit(BANK), credit(WALLET)],
    description="Money from a linked bank account arrives in the wallet.",
    reversible=True,
)
REVERSAL = declare_kind(
    "reversal",
    legs=[either(kind, asset_type) for kind in tuple(_account_kinds.values()) for asset_type in (CASH, SHARES)],
    description="Takes back one entry, whole and once: each of its postings with the sign turned.",
)
