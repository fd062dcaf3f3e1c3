"""The ledger looks at itself: runs every check there is, each a query that yields the rows that break an invariant.

The checks are elsewhere, made with `@check` or `check_sql`: `wallet.ledger_checks` (entries, postings, accounts, holds),
`tally_checks` (usage, capacity, reversals), `seal_checks`, `top_up_verification`, and the products' `verification`. Nothing
is repaired here, and nothing is written: what is found is kept, and accounts are frozen for it, by
`wallet.verification_runs`.

extent         what it reads                                                                          cost
full           every row of every table, against one snapshot                                         all rows
incremental    what the transactions since the last clean verification posted, the accounts they       the new rows
               touched, the newest seals (`wallet.new_row_checks`)

Invariants are numbered as in the design (I1-I22); S1-S3 are about seals and freezes.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

MOST_FINDINGS_PER_CHECK = 1000

LEDGER = "ledger"
"""The area of the checks that need no product: they hold for any postings."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One row that breaks an invariant: `invariant` by its number, `row` so that it can be found, `fault` in words."""

    invariant: str
    row: str
    fault: str


@dataclass(frozen=True, slots=True)
class Check:
    """One invariant. `area`: whose rows it is about. `look` yields (row, fault) for each offender."""

    invariant: str
    rule: str
    area: str
    look: Callable[[CursorWrapper], Iterator[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class Window:
    """What a verification looks at: postings of [from_tx, to_tx), and the seals after `from_seal` up to `to_seal`."""

    from_tx: int
    to_tx: int
    from_seal: int
    to_seal: int


Results = dict[Check, list[Finding]]
Look = Callable[[CursorWrapper], Iterator[tuple[str, str]]]

_checks: list[Check] = []


def check(invariant: str, rule: str, *, area: str = "products") -> Callable[[Look], Look]:
    """Registers a check: a function of a cursor that yields (row, fault) for each row that breaks `rule`."""

    def register(look: Look) -> Look:
        _checks.append(Check(invariant=invariant, rule=rule, area=area, look=look))
        return look

    return register


def check_sql(invariant: str, rule: str, sql: str, *, area: str = "products") -> None:
    """Registers a check given as a query of (row, fault), one row per offender."""
    _checks.append(Check(invariant=invariant, rule=rule, area=area, look=looking_by(sql)))


def looking_by(sql: str, params: dict[str, int] | None = None) -> Look:
    """A look that runs a query of (row, fault)."""

    def look(cursor: CursorWrapper) -> Iterator[tuple[str, str]]:
        cursor.execute(sql, params)
        while rows := cursor.fetchmany(1000):
            yield from rows

    return look


def all_checks() -> tuple[Check, ...]:
    """Every check that is registered, in order of their numbers."""
    return tuple(sorted(_checks, key=lambda each: (each.invariant[0], int(each.invariant[1:]), each.rule)))


def verify(*, area: str | None = None) -> Results:
    """Runs every check, or those of one area, against one snapshot; each names at most MOST_FINDINGS_PER_CHECK rows."""
    results, _ = look_at_everything([each for each in all_checks() if area in {None, each.area}])
    return results


def look_at_everything(checks: Iterable[Check]) -> tuple[Results, Window]:
    """Runs checks that read whole tables against one snapshot, and says how far it reached."""
    # Such checks hash and sort; looking rows up one by one would cost more, whatever the statistics say.
    with _one_snapshot("SET LOCAL enable_nestloop = off; SET LOCAL work_mem = '64MB'") as cursor:
        window = _window(cursor, from_tx=0, from_seal=0)
        return _results(cursor, checks), window


def look_at_the_new(
    checks_of: Callable[[Window], Iterable[Check]], *, from_tx: int, from_seal: int
) -> tuple[Results, Window]:
    """Runs the checks of what is new since then, against one snapshot. Transactions that are open are left to the next time."""
    with _one_snapshot("SET LOCAL work_mem = '64MB'") as cursor:
        window = _window(cursor, from_tx=from_tx, from_seal=from_seal)
        return _results(cursor, checks_of(window)), window


@contextmanager
def _one_snapshot(settings: str) -> Iterator[CursorWrapper]:
    """A read-only transaction that sees one state of all tables; inside another transaction, what that one sees."""
    with transaction.atomic(), connection.cursor() as cursor:
        if not connection.savepoint_ids:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute(f"SET LOCAL statement_timeout = 0; {settings}")
        yield cursor


def _window(cursor: CursorWrapper, *, from_tx: int, from_seal: int) -> Window:
    cursor.execute(
        "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint, coalesce((SELECT max(number) FROM wallet_seal), 0)"
    )
    to_tx, to_seal = cursor.fetchone()
    return Window(from_tx=from_tx, to_tx=max(to_tx, from_tx), from_seal=from_seal, to_seal=to_seal)


def _results(cursor: CursorWrapper, checks: Iterable[Check]) -> Results:
    results: Results = {}
    for each in checks:
        found = islice(each.look(cursor), MOST_FINDINGS_PER_CHECK)
        results[each] = [Finding(invariant=each.invariant, row=row, fault=fault) for row, fault in found]
    return results
