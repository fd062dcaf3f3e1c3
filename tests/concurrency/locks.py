"""Every lock of the code base, in the one order in which they are taken, each with what would break without it.

A transaction takes locks of ascending rank only: key, business row, accounts by id, capacity; so nobody waits for anybody who
waits for them. Two kinds are outside of that order: a lock that is taken with SKIP LOCKED never waits, and one that is the only
lock of its transaction cannot be waited for by who holds another.

`places` name where a lock is taken, as module and constant or function. `test_every_lock.py` reads the code: a lock that is
not in this table fails, and so does a row of the table that no test forces.
"""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, TypeVar

from tests.databases import CHECKOUT

APPS = ("config", "superapp", "wallet", "payments", "funds")

Test = TypeVar("Test", bound=Callable[..., Any])


class Rank(IntEnum):
    """The order of locks; ALONE: the only lock of its transaction, or of its session."""

    ALONE = 0
    KEY = 1
    BUSINESS_ROW = 2
    ACCOUNTS = 3
    CAPACITY = 4


@dataclass(frozen=True, slots=True)
class Lock:
    """One lock. `breaks`: what goes wrong without it. `waits`: False where a row that is taken is passed over."""

    name: str
    rank: Rank
    places: tuple[str, ...]
    breaks: str
    waits: bool = True


LOCKS = (
    Lock(
        "a request's key",
        Rank.KEY,
        (),  # the unique key itself: the second INSERT waits for the first one's transaction
        "the same request sent twice at once is done twice",
    ),
    Lock(
        "a person's looks at the PIN",
        Rank.ALONE,
        ("wallet.pins._in_line",),
        "payments sent together with the right PIN count against each other",
    ),
    Lock("a person's tries", Rank.ALONE, (), "two guesses at once are counted as one"),  # the row of the UPDATE itself
    Lock(
        "a bank's message",
        Rank.BUSINESS_ROW,
        ("wallet.bank_callbacks.record_callback",),
        "a message that comes twice at once is acted on twice",
    ),
    Lock(
        "a top-up the bank speaks of",
        Rank.BUSINESS_ROW,
        ("wallet.bank_callbacks._top_up_named",),
        "of two contradicting messages at once both believe to be the first",
    ),
    Lock(
        "due transfers",
        Rank.BUSINESS_ROW,
        ("payments.settlement._CLAIM", "payments.settlement._DUE"),
        "two workers credit the same recipients",
        waits=False,
    ),
    Lock(
        "orders that are due",
        Rank.BUSINESS_ROW,
        (
            "funds.order_sets.CLAIM_DUE_SQL",
            "funds.order_sets.CLAIM_UNSETTLED_SQL",
            "funds.order_sets.CLAIM_UNPAID_SQL",
        ),
        "two workers confirm, settle or pay out the same orders",
        waits=False,
    ),
    Lock(
        "an order its owner cancels",
        Rank.BUSINESS_ROW,
        ("funds.orders._cancel", "funds.order_sets._end_refused"),
        "an order is given back while it is being carried out",
    ),
    Lock(
        "orders a loss takes from",
        Rank.BUSINESS_ROW,
        ("funds.losses.LOCK_ORDERS_SQL",),
        "an order is cancelled while a loss shrinks what it holds",
    ),
    Lock(
        "a fund's days",
        Rank.BUSINESS_ROW,
        (
            "funds.entitlement._close_the_door",
            "funds.catalogue.lock_against_freezing",
            "funds.income._be_the_only_opener",
        ),
        "something is posted into a day that has been frozen, or a day is opened twice",
    ),
    Lock("a fund's terms", Rank.ALONE, ("funds.catalogue.publish_terms",), "two versions get the same number"),
    Lock("a fund's figures", Rank.ALONE, ("funds.yields._lock_yields",), "two figures of a day get the same revision"),
    Lock(
        "a run's move",
        Rank.BUSINESS_ROW,
        ("superapp.runs.advance", "funds.income_days.plan", "funds.income_days._move"),
        "two workers finish the same stage, and the second one undoes what the first has written",
    ),
    Lock(
        "a run's batch",
        Rank.BUSINESS_ROW,
        ("superapp.runs.claim_batch", "funds.income_batches.CLAIM_UNREAD_SQL"),
        "two workers post the income of the same holders",
        waits=False,
    ),
    Lock(
        "an event to be delivered",
        Rank.ALONE,
        ("superapp.outbox._claim",),
        "two workers hand the same event over",
        waits=False,
    ),
    Lock(
        "what is past its time",
        Rank.ALONE,
        ("superapp.housekeeping._locked", "superapp.housekeeping._remove_sign_ups"),
        "two that tidy up wait for each other",
        waits=False,
    ),
    Lock(
        "a request to reverse",
        Rank.BUSINESS_ROW,
        ("wallet.reversals._open",),
        "an entry is taken back by a request that has been declined meanwhile",
    ),
    Lock("a pair's thread", Rank.BUSINESS_ROW, (), "two people get two threads"),  # the unique key itself
    Lock("a person's new account", Rank.BUSINESS_ROW, (), "a person gets two wallets in a currency"),  # likewise
    Lock(
        "accounts, by id",
        Rank.ACCOUNTS,
        (
            "wallet.ledger.LOCK_SQL",
            "wallet.ledger_sets.LOCK_SQL",
            "funds.losses.LOCK_ACCOUNTS_SQL",
            "funds.later_income.LOCK_SQL",
            "wallet.holds.LOCK_SQL",
            "wallet.freezes._lock",
        ),
        "two spenders read the same balance; without the order two transfers in opposite directions wait for ever",
    ),
    Lock(
        "capacity",
        Rank.CAPACITY,
        ("wallet.capacity.LOCK_SQL",),
        "the slots of a place are shared out by two at once, and more is taken than there is",
    ),
    Lock(
        "the chain of seals",
        Rank.ALONE,
        ("wallet.sealing._alone",),
        "two seals follow the same one",
        waits=False,
    ),
    Lock("the fold's checkpoint", Rank.ALONE, ("wallet.folding.fold",), "two folds add the same postings"),
    Lock(
        "a journey",
        Rank.ALONE,
        ("superapp.travel._only_journey",),
        "two journeys move the sandbox's clock past each other's work",
        waits=False,
    ),
    Lock("the database's roles", Rank.ALONE, ("superapp.roles.grant_to_site",), "two migrations make the role at once"),
)

_forced: dict[str, list[str]] = {}


def forces(*names: str) -> Callable[[Test], Test]:
    """Marks a test as the one that forces who waits for whom at these locks."""
    unknown = set(names) - {lock.name for lock in LOCKS}
    if unknown:
        raise LookupError(f"These are not in the table of locks: {', '.join(sorted(unknown))}.")

    def register(test: Test) -> Test:
        for name in names:
            _forced.setdefault(name, []).append(test.__name__)
        return test

    return register


def forced() -> dict[str, list[str]]:
    """The tests of each lock, as far as their modules have been imported."""
    return _forced


_TAKES_A_LOCK = re.compile(
    r"\bFOR\s+(?:NO\s+KEY\s+)?UPDATE\b|\bFOR\s+(?:KEY\s+)?SHARE\b|\bpg_(?:try_)?advisory_(?:xact_)?lock|\bLOCK\s+TABLE\b"
)


def places_in_the_code() -> set[str]:
    """Where the code takes a lock: in its Python, and in the SQL files beside it (named by their path)."""
    found: set[str] = set()
    for app in APPS:
        for path in sorted((CHECKOUT / app).rglob("*")):
            if "benchmarks" in path.parts:
                continue  # a benchmark's limit is no part of the product
            if path.suffix == ".sql" and _TAKES_A_LOCK.search(_without_comments(path.read_text())):
                found.add(str(path.relative_to(CHECKOUT)))
            elif path.suffix == ".py":
                module = ".".join(path.relative_to(CHECKOUT).with_suffix("").parts).removesuffix(".__init__")
                found |= {f"{module}.{name}" for name in _places_of(path)}
    return found


def _places_of(path: Path) -> Iterator[str]:
    for node in ast.parse(path.read_text()).body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                if _locks(node):
                    yield name
            case ast.Assign(targets=[ast.Name(id=name)]):
                if _locks(node):
                    yield name
            case ast.ClassDef(name=name, body=body):
                yield from (
                    f"{name}.{method.name}" for method in body if isinstance(method, ast.FunctionDef) and _locks(method)
                )


def _locks(node: ast.AST) -> bool:
    """Whether a statement in it takes a lock; what a docstring says of one does not count."""
    docstrings = {
        id(each.body[0].value)
        for each in ast.walk(node)
        if isinstance(each, ast.FunctionDef) and each.body and isinstance(each.body[0], ast.Expr)
    }
    return any(
        (isinstance(each, ast.Attribute) and each.attr == "select_for_update")
        or (
            isinstance(each, ast.Constant)
            and isinstance(each.value, str)
            and id(each) not in docstrings
            and _TAKES_A_LOCK.search(_without_comments(each.value))
        )
        for each in ast.walk(node)
    )


def _without_comments(sql: str) -> str:
    return re.sub(r"--[^\n]*", "", sql)
