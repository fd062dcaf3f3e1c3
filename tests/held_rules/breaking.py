"""A pytest plugin that takes one rule away while the product is imported, so that a test can be seen to miss it.

    SUPERAPP_RULE_TAKEN_AWAY=refusals:PIN_LOCKED python -m pytest -p tests.held_rules.breaking tests/wallet/test_pins.py

table        what is taken away
entries      the kind's row of the flow table allows no leg (a kind that only holds: the ledger refuses it)
refusals     nobody raises it: `raise` and `return` of it do nothing
policies     it says the most, or the least, that its type can say, whatever operators have said
invariants   its checks look, and find nothing

Nothing is written: sources are changed on their way from the file to the interpreter, and the rest in memory.
"""

import ast
import importlib
import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, time, timedelta
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

VARIABLE = "SUPERAPP_RULE_TAKEN_AWAY"

APPS = ("payments", "funds", "wallet", "superapp")


def names_of_refusal(code: str) -> frozenset[str]:
    """The class of a refusal, and the function that puts its facts together: InsufficientFunds, insufficient_funds."""
    return frozenset({"".join(word.capitalize() for word in code.split("_")), code.lower()})


def environment(rule: str) -> dict[str, str]:
    """The environment in which tests run without a rule, given as table:code; with all rules when it is empty."""
    return {**os.environ, VARIABLE: rule}


class _Silenced(ast.NodeTransformer):
    """A module in which a refusal is not raised, and not answered."""

    def __init__(self, names: frozenset[str]) -> None:
        self.names = names

    def visit_Raise(self, node: ast.Raise) -> ast.stmt:
        """`raise InsufficientFunds(...)` is nothing."""
        return ast.copy_location(ast.Pass(), node) if self._is_it(node.exc) else node

    def visit_Return(self, node: ast.Return) -> ast.stmt:
        """`return InsufficientFunds(...)` answers that nothing is wrong."""
        return ast.copy_location(ast.Return(value=None), node) if self._is_it(node.value) else node

    def _is_it(self, node: ast.expr | None) -> bool:
        called = node.func if isinstance(node, ast.Call) else node
        name = called.id if isinstance(called, ast.Name) else called.attr if isinstance(called, ast.Attribute) else ""
        return name in self.names


class _Loader(importlib.machinery.SourceFileLoader):
    """Compiles a module of the product without the refusal, past any compiled copy of the whole one."""

    names: frozenset[str]

    def get_code(self, fullname: str) -> CodeType:
        """The module, changed."""
        path = self.get_filename(fullname)
        tree = _Silenced(self.names).visit(ast.parse(self.get_data(path), path))
        return compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, names: frozenset[str]) -> None:
        self.names = names

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The product's modules that name the refusal, in sources; others as ever."""
        if fullname.partition(".")[0] not in APPS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec and isinstance(spec.loader, importlib.machinery.SourceFileLoader) and self._named_in(spec.loader.path):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
            spec.loader.names = self.names
        return spec

    def _named_in(self, path: str) -> bool:
        """Others are taken as they were compiled before: a run begins in half the time."""
        source = Path(path).read_text()
        return any(name in source for name in self.names)


def take_away(table: str, code: str) -> None:
    """Takes a rule away, before the product is imported."""
    if table == "refusals":
        sys.meta_path.insert(0, _Finder(names_of_refusal(code)))


def take_away_once_imported(table: str, code: str) -> None:
    """Takes a rule away that is a row of a table, before the tests are."""
    if table == "entries":
        _forbid(code)
    elif table == "policies":
        _overrule(code)
    elif table == "invariants":
        _blind(code)


def _forbid(code: str) -> None:
    from wallet import flows

    kind = flows.entry_kind(code)
    if kind.legs:
        object.__setattr__(kind, "legs", ())
        return

    from wallet import ledger
    from wallet.errors import LedgerFault

    check_shape = ledger._check_shape

    def checked(plans: Sequence[ledger.Plan]) -> None:
        if any(plan.kind is kind for plan in plans):
            raise LedgerFault(f"There is no entry of kind {code}.")
        check_shape(plans)

    ledger._check_shape = checked


def _overrule(name: str) -> None:
    from superapp import policies, policy_types

    policy = policies.named(name)
    extremes: dict[type[Any], Any] = {
        policy_types.Count: 1_000_000,
        policy_types.DurationSeconds: timedelta(days=3650),
        policy_types.TimeOfDay: time(23, 59, 59),
        policy_types.MoneyAmounts: {},
    }
    value = extremes[type(policy.type)]

    def overruled(instant: datetime, scope: str = "") -> policies.Ruling[Any]:
        return policies.Ruling(value=value, version=0, policy=name, scope="", effective_from=None, until=None)

    object.__setattr__(policy, "at", overruled)


def _blind(number: str) -> None:
    from wallet import verification

    def sees_nothing(cursor: object) -> Iterator[tuple[str, str]]:
        return iter(())

    prepare = verification.Check.__init__

    def prepared(self: verification.Check, **facts: Any) -> None:
        if facts["invariant"] == number:
            facts["look"] = sees_nothing
        prepare(self, **facts)

    verification.Check.__init__ = prepared  # type: ignore[assignment, method-assign]
    for check in verification._checks:
        if check.invariant == number:
            object.__setattr__(check, "look", sees_nothing)


_TABLE, _, _CODE = os.environ.get(VARIABLE, "").partition(":")

take_away(_TABLE, _CODE)


def pytest_collection() -> None:
    """Django is set up now, and no test imported; the doors import whatever else declares a rule."""
    if _CODE:
        importlib.import_module("config.urls")
        take_away_once_imported(_TABLE, _CODE)
