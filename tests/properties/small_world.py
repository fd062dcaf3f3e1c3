"""The small world in which the ledger's state machine plays: its accounts, and the moves that are drawn for it.

Seven people's accounts in three assets (yuan, yen, shares of a fund), the system's own, and one that only a late transaction
touches. A move is drawn as numbers; what it means as an entry is said here, the right way and spoiled.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from hypothesis import strategies as st

from superapp.ids import uuid7
from superapp.models import User
from tests import own_flows
from tests.properties import pure_ledger as pure
from wallet import flows
from wallet.accounts import currency_asset, fund_share_asset
from wallet.flows import CASH, SHARES, AccountKind, EntryKind
from wallet.models import Account

KINDS: dict[str, EntryKind] = {kind.code: kind for kind in (*own_flows.OWN_KINDS, flows.REVERSAL)}

FLOWS = {
    kind.code: frozenset(
        (leg.account.code, leg.asset_type, sign)
        for leg in kind.legs
        for sign in ((leg.direction.value,) if leg.direction.value else (-1, 1))
    )
    for kind in KINDS.values()
}

CNY, JPY, FUND = "CNY", "JPY", "FUND:MACHINE"

# Name, kind, asset, credit limit. The late one is touched by nobody but the transaction that is late.
INLINE: Sequence[tuple[str, AccountKind, str, str]] = (
    ("cny 0", flows.WALLET, CNY, "0"),
    ("cny 1", flows.WALLET, CNY, "0"),
    ("cny 2", flows.WALLET, CNY, "30.00"),
    ("jpy 0", flows.WALLET, JPY, "0"),
    ("jpy 1", flows.WALLET, JPY, "0"),
    ("shares 0", flows.FUND, FUND, "0"),
    ("shares 1", flows.FUND, FUND, "0"),
    ("late", flows.WALLET, CNY, "0"),
)
FOLDED: Sequence[tuple[str, AccountKind, str]] = (
    ("bank CNY", flows.BANK, CNY),
    ("bank JPY", flows.BANK, JPY),
    ("transit CNY", flows.IN_TRANSIT, CNY),
    ("transit JPY", flows.IN_TRANSIT, JPY),
    ("orders", flows.FUND_ORDERS, CNY),
    ("cash", flows.FUND_CASH, CNY),
    ("redemptions", flows.REDEMPTIONS, CNY),
    ("issued", flows.FUND_ISSUED, FUND),
)


class Move(NamedTuple):
    """What an entry moves, by the numbers of accounts and in minor units; what they mean is `SmallWorld.plan_of`'s."""

    what: str
    one: int
    other: int
    minor: int
    more: int


ONE_INLINE = ("in CNY", "in JPY", "to transit CNY", "to transit JPY", "from transit CNY", "from transit JPY", "given")
MOVES = (
    *ONE_INLINE,
    "from transit to two",
    "moved CNY",
    "moved JPY",
    "moved shares",
    "there and back",
    "bought",
    "sold",
)

ONE_WAY = "own_brought_in"
MISTAKES = (
    "unbalanced",
    "wrong way",
    "too fine",
    "from the future",
    "unknown account",
    "zero",
    "nothing",
    "too much held",
)


minor = st.integers(1, 9000)
moves = st.builds(Move, st.sampled_from(MOVES), st.integers(0, 2), st.integers(0, 2), minor, minor)
days = st.integers(0, 40)
number = st.integers(0, 50)


class SmallWorld:
    """Accounts of one example's own: people's, and the system's under a scope that nobody else uses."""

    def __init__(self, *, now: datetime) -> None:
        self.names: dict[str, UUID] = {}
        self.accounts: dict[UUID, pure.Account] = {}
        self._open_accounts(now)

    def _open_accounts(self, now: datetime) -> None:
        scope = str(uuid7())
        assets = {CNY: currency_asset(CNY), JPY: currency_asset(JPY), FUND: fund_share_asset("MACHINE")}
        owners = [User(phone=f"+8613{uuid7().int % 10**9:09d}", password="!") for _ in INLINE]
        User.objects.bulk_create(owners)
        rows = [
            Account(owner=owner, kind=kind.code, asset=assets[asset], credit_limit=Decimal(limit), created_at=now)
            for owner, (_, kind, asset, limit) in zip(owners, INLINE, strict=True)
        ] + [
            Account(kind=kind.code, asset=assets[asset], scope=scope, folded=True, created_at=now)
            for _, kind, asset in FOLDED
        ]
        Account.objects.bulk_create(rows)
        named = [*INLINE, *((name, kind, asset, "0") for name, kind, asset in FOLDED)]
        for (name, kind, asset, limit), row in zip(named, rows, strict=True):
            self.names[name] = row.id
            self.accounts[row.id] = pure.Account(
                id=row.id,
                kind=kind.code,
                asset=asset,
                asset_type=SHARES if asset == FUND else CASH,
                decimals=assets[asset].decimals,
                folded=kind.folded,
                credit_limit=Decimal(limit),
            )

    def legs(self, *named: tuple[str, Decimal]) -> tuple[tuple[UUID, Decimal], ...]:
        return tuple((self.names[name], amount) for name, amount in named)

    def amount(self, asset: str, minor_units: int) -> Decimal:
        """At most 90 yuan or shares, or as many yen: of three that take from a wallet of 100 one is refused."""
        return Decimal(max(1, minor_units // 100)) if asset == JPY else Decimal(minor_units).scaleb(-2)

    def plan_of(self, move: Move) -> pure.Plan:
        """The entry that a drawn move stands for."""
        what, one, other = move.what, move.one, move.other
        currency = JPY if "JPY" in what else CNY
        amount, more = self.amount(currency, move.minor), self.amount(currency, move.more)
        wallet, second = (f"jpy {one % 2}", f"jpy {other % 2}") if currency == JPY else (f"cny {one}", f"cny {other}")
        holder, next_holder = f"shares {one % 2}", f"shares {other % 2}"
        kind, legs = {
            "in": ("own_brought_in", [(f"bank {currency}", -amount), (wallet, amount)]),
            "to": ("own_put_in_transit", [(wallet, -amount), (f"transit {currency}", amount)]),
            "from": ("own_handed_out", [(f"transit {currency}", -amount), (wallet, amount)]),
            "from transit to two": (
                "own_handed_out",
                [(f"transit {currency}", -amount - more), (wallet, amount), (second, more)],
            ),
            "moved": ("own_moved", [(wallet, -amount), (second, amount)]),
            "moved shares": ("own_moved", [(holder, -amount), (next_holder, amount)]),
            "there and back": ("own_moved", [(wallet, -amount), (second, amount), (second, -more), (wallet, more)]),
            "bought": (
                "own_shares_bought",
                [("orders", -amount), ("cash", amount), ("issued", -amount), (holder, amount)],
            ),
            "sold": (
                "own_shares_sold",
                [(holder, -amount), ("issued", amount), ("cash", -amount), ("redemptions", amount)],
            ),
            "given": ("own_shares_given", [("issued", -amount), (holder, amount)]),
        }[what if what in {"from transit to two", "moved shares", "there and back"} else what.split(" ")[0]]
        return pure.Plan(uuid7(), kind, self.legs(*legs))

    def spoiled(self, plan: pure.Plan, mistake: str, *, now: datetime) -> pure.Plan:
        """The entry with a mistake in it that no ledger can write."""
        (account, amount), *rest = plan.legs
        grain = Decimal("0.0001")
        return {
            "unbalanced": lambda: plan._replace(legs=((account, amount * 2), *rest)),
            "wrong way": lambda: plan._replace(legs=tuple((each, -size) for each, size in plan.legs), kind=ONE_WAY),
            "too fine": lambda: plan._replace(
                legs=tuple((each, size + (grain if size > 0 else -grain)) for each, size in plan.legs)
            ),
            "from the future": lambda: plan._replace(effective_at=now + timedelta(days=400)),
            "unknown account": lambda: plan._replace(legs=((uuid7(), amount), *rest)),
            "zero": lambda: plan._replace(legs=(*plan.legs, (account, Decimal(0)))),
            "nothing": lambda: plan._replace(legs=()),
            "too much held": lambda: plan._replace(
                steps=(pure.Step("capture", self.names["cny 0"], uuid7(), Decimal(1)),)
            ),
        }[mistake]()
