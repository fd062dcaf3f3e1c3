"""docs/rules.md: from a posting to the code that made it, from a rule to the code that refuses and to the tests that hold it.

Read from the source: who passes an entry kind to the ledger, who raises a refusal, who asks a policy, and which test files
name them. A test fails for a kind, a refusal or a policy that nobody uses or no test names.
"""

import ast
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from superapp import errors, policies
from wallet import flows

APPS = ("config", "payments", "funds", "wallet", "superapp")
ROOT = Path(__file__).resolve().parent.parent

Names = Callable[[ast.FunctionDef], Iterator[str]]

ONLY_PASS_ON = {"graphql", "benchmarks", "sandbox_world", "demo"}
"""Folders whose code names rules without carrying them out."""

MOST_NAMED = 4
"""Places named in a cell; the others are counted."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the page. `anchors`: the names that stand for it in code; `code` is its stable name outside."""

    code: str
    anchors: frozenset[str]
    sentence: str


@dataclass(slots=True)
class Uses:
    """Where rules are used. `functions`: by anchor, in order; `called_by`: by function, who calls it;
    `tests`: by test file, how often each name stands there.
    """

    functions: dict[str, dict[str, None]] = field(default_factory=dict)
    called_by: dict[str, dict[str, None]] = field(default_factory=dict)
    tests: dict[str, Counter[str]] = field(default_factory=dict)

    def of(self, rule: Rule) -> list[str]:
        """The functions that use a rule."""
        found: dict[str, None] = {}
        for anchor in sorted(rule.anchors):
            found |= self.functions.get(anchor, {})
        return list(found)

    def tests_of(self, rule: Rule) -> list[str]:
        """The test files that name a rule, those that name it most first; else those that call what carries it out, or the
        nearest of its callers that any test calls.
        """
        found = self._naming(rule.anchors | {rule.code})
        level, seen = self.of(rule), set[str]()
        while level and not found:
            found = self._naming({function.rpartition(".")[2] for function in level}, app=level[0].partition(".")[0])
            seen |= set(level)
            level = [caller for function in level for caller in self.called_by.get(function, ()) if caller not in seen]
        return found

    def _naming(self, wanted: Iterable[str], *, app: str = "") -> list[str]:
        """Of any test file, or (for names that several apps may use) of the app's own."""
        names = set(wanted)
        named = {
            path: sum(counted[name] for name in names)
            for path, counted in self.tests.items()
            if path.startswith(f"tests/{app}")
        }
        return sorted((path for path, times in named.items() if times), key=lambda path: (-named[path], path))


def kinds() -> list[Rule]:
    """Every row of the flow table that the apps declare."""
    constants = _constants_of_calls({"declare_kind"})
    return [
        Rule(code=kind.code, anchors=frozenset(constants[kind.code]), sentence=kind.description)
        for kind in flows.entry_kinds()
        if kind.code in constants
    ]


def refusals() -> list[Rule]:
    """Every refusal."""
    return [
        Rule(code=each.code, anchors=frozenset(_raised_through(each.__name__)), sentence=_first_sentence(each.__doc__))
        for each in errors.all_errors()
        if each.__module__.partition(".")[0] in APPS
    ]


def dated_policies() -> list[Rule]:
    """Every policy that the apps declare."""
    constants = _constants_of_calls({"define"})
    return [
        Rule(code=each.name, anchors=frozenset(constants[each.name]), sentence=each.doc)
        for each in policies.all()
        if each.name in constants
    ]


def uses_of_kinds() -> Uses:
    """Who hands an entry kind to the ledger: as an argument called `kind`."""
    return Uses(functions=_functions(_kinds_passed), called_by=_callers(), tests=_names_in_tests())


def uses_of_names() -> Uses:
    """Who speaks of a refusal or a policy."""
    return Uses(functions=_functions(_names_in), called_by=_callers(), tests=_names_in_tests())


def page(note: str) -> str:
    """The page."""
    posted, named = uses_of_kinds(), uses_of_names()
    lines = [note, "", "# Rules, and where they live", ""]
    lines += [
        "From a posting to the rule that made it: its entry's kind is a line of the first table. From a refusal or a policy to",
        "the code that carries it out, and to the tests that fail when it is broken: the other two. What each kind may move is",
        "in [accounts and flows](flows.md).",
        "",
        "## Entries",
        "",
        *_table(("entry", "what happens", "posted by", "tests"), kinds(), posted),
        "",
        "## Refusals",
        "",
        *_table(("code", "what it says", "raised in", "tests"), refusals(), named),
        "",
        "## Policies",
        "",
        *_table(("policy", "what it rules", "asked by", "tests"), dated_policies(), named),
        "",
    ]
    return "\n".join(lines)


def _table(head: tuple[str, ...], rules: Iterable[Rule], uses: Uses) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|---|---|---|---|"
    for rule in rules:
        sentence = " ".join(rule.sentence.split()).replace("|", "\\|")
        yield f"| `{rule.code}` | {sentence} | {_cell(uses.of(rule))} | {_cell(uses.tests_of(rule))} |"


def _cell(places: list[str]) -> str:
    shown = ", ".join(f"`{place}`" for place in places[:MOST_NAMED])
    more = len(places) - MOST_NAMED
    return f"{shown} and {more} more" if more > 0 else shown


def _first_sentence(doc: str | None) -> str:
    return " ".join((doc or "").split("\n\n")[0].split())


def _raised_through(name: str) -> set[str]:
    """A refusal's class, and the function that puts its facts together, where there is one (InsufficientFunds)."""
    return {name, "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")}


def _constants_of_calls(functions: set[str]) -> dict[str, set[str]]:
    """The constants that are made by calling one of these functions with a name: name → constants."""
    found: dict[str, set[str]] = {}
    for _, tree in _sources():
        for node in tree.body:
            match node:
                case (
                    ast.Assign(
                        targets=[ast.Name(id=constant)],
                        value=ast.Call(func=called, args=[ast.Constant(value=str(name)), *_]),
                    )
                    | ast.AnnAssign(
                        target=ast.Name(id=constant),
                        value=ast.Call(func=called, args=[ast.Constant(value=str(name)), *_]),
                    )
                ) if _last_name(called) in functions:
                    found.setdefault(name, set()).add(constant)
    return found


def _functions(names_of: Names) -> dict[str, dict[str, None]]:
    """By name, the functions (and classes' methods) of the apps in which it stands, as module.function."""
    found: dict[str, dict[str, None]] = {}
    for path, tree in _sources():
        if path.parent.name in ONLY_PASS_ON:
            continue
        for where, function in _all_functions(tree):
            for name in names_of(function):
                if name != function.name:
                    found.setdefault(name, {})[f"{_module(path)}.{where}"] = None
    return found


def _callers() -> dict[str, dict[str, None]]:
    """By function, who of the same app calls one of that name."""
    defined: dict[tuple[str, str], list[str]] = {}
    every = [(path, where, function) for path, tree in _sources() for where, function in _all_functions(tree)]
    for path, where, function in every:
        defined.setdefault((_app(path), function.name), []).append(f"{_module(path)}.{where}")
    found: dict[str, dict[str, None]] = {}
    for path, where, function in every:
        for name in _names_in(function):
            for called in defined.get((_app(path), name), ()):
                found.setdefault(called, {})[f"{_module(path)}.{where}"] = None
    return found


def _app(path: Path) -> str:
    return path.relative_to(ROOT).parts[0]


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _all_functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef):
                    yield f"{node.name}.{inner.name}", inner


def _kinds_passed(function: ast.FunctionDef) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.keyword) and node.arg == "kind":
            yield from _names_in(node.value)


def _names_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            yield _last_name(node)


def _last_name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _names_in_tests() -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        names: Counter[str] = Counter()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Name | ast.Attribute):
                names[_last_name(node)] += 1
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                names[node.value] += 1
        found[str(path.relative_to(ROOT))] = names
    return found


def _sources() -> Iterator[tuple[Path, ast.Module]]:
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path, ast.parse(path.read_text())
