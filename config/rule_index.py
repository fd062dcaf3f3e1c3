"""docs/rules.md: from a posting to the code that made it, from a rule to its code and to the test that holds it.

Read from the source: who passes an entry kind to the ledger, who raises or makes a refusal (whoever only catches it is not
named, nor is a class of the same name from elsewhere), who asks a policy, which module looks for what breaks an invariant.
The test is the one of `tests/held_rules/held.toml`, where each is seen to fail without its rule. A test fails for a rule that
nobody uses, or that the list does not name. Rules that are no row of a table (an order of locks, a horizon, a rounding) are
those that `tests/deliberate_bugs/bugs.py` breaks, each with the tests that notice.
"""

import ast
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from superapp import errors, policies
from wallet import flows, verification

APPS = ("config", "payments", "funds", "wallet", "superapp")
ROOT = Path(__file__).resolve().parent.parent

Names = Callable[[ast.FunctionDef], Iterator[str]]

ONLY_PASS_ON = {"graphql", "benchmarks", "sandbox_world", "demo"}
"""Folders whose code names kinds and policies without carrying them out. (What a door itself refuses is named.)"""

TRIGGER = re.compile(r"^CREATE (?:CONSTRAINT )?TRIGGER (\w+) (.+?) ON (\w+)", re.MULTILINE)
"""A trigger in an SQL file: its name, when it looks, and at which table."""

CHECKS = {"check", "check_sql"}
"""What makes a check of an invariant; its number comes first."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the page. `anchors`: the names that stand for it in code; `code` is its stable name outside."""

    code: str
    anchors: frozenset[str]
    sentence: str


@dataclass(frozen=True, slots=True)
class Bug:
    """A bug that tests must notice. `breaks`: the rule in words; `file`: where it lives; `tests`: what notices."""

    name: str
    breaks: str
    file: str
    tests: tuple[str, ...]


@dataclass(slots=True)
class Uses:
    """Where rules are used: by anchor, the places, in order."""

    places: dict[str, dict[str, None]] = field(default_factory=dict)

    def of(self, rule: Rule) -> list[str]:
        """The places that use a rule: functions, or for an invariant modules."""
        found: dict[str, None] = {}
        for anchor in sorted(rule.anchors):
            found |= self.places.get(anchor, {})
        return list(found)


def kinds() -> list[Rule]:
    """Every row of the flow table that the apps declare."""
    constants = _constants_of_calls({"declare_kind"})
    return [
        Rule(
            code=kind.code,
            anchors=frozenset(constants[kind.code]),
            sentence=kind.description
            + (f" [How it is worked out, and what proves it]({kind.arithmetic})." if kind.arithmetic else ""),
        )
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


def invariants() -> list[Rule]:
    """Every invariant that something looks for, with the rules of its checks."""
    rules: dict[str, list[str]] = {}
    for check in verification.all_checks():
        rules.setdefault(check.invariant, []).append(check.rule)
    return [Rule(code=number, anchors=frozenset({number}), sentence="; ".join(each)) for number, each in rules.items()]


def uses_of_kinds() -> Uses:
    """Who hands an entry kind to the ledger: as an argument called `kind`."""
    return Uses(_functions(_kinds_passed))


def uses_of_names() -> Uses:
    """Who asks a policy: whoever speaks of it."""
    return Uses(_functions(_names_in))


def uses_of_refusals() -> Uses:
    """Who raises a refusal, and after them who makes one, or answers with its code, for another to raise or to tell."""
    scopes = {_module(path): _names_of_module(_module(path), tree) for path, tree in _sources()}
    refusals_made = _makers_of_refusals(scopes)
    raised: dict[str, dict[str, None]] = {}
    made: dict[str, dict[str, None]] = {}
    for path, tree in _sources():
        module = _module(path)
        for where, function in _all_functions(tree):
            for node in ast.walk(function):
                match node:
                    case ast.Raise(exc=ast.Name() | ast.Attribute() as named):
                        kept, names = raised, {_full_name(named, module, scopes)}
                    case ast.Raise(exc=ast.expr() as expression):
                        kept, names = raised, _called_in(expression, module, scopes)
                    case ast.Call():
                        kept, names = made, {_full_name(node.func, module, scopes)}
                    case ast.Attribute(value=answered, attr="code"):
                        kept, names = made, {_full_name(answered, module, scopes)}
                    case _:
                        continue
                for name in names & refusals_made.keys():
                    kept.setdefault(refusals_made[name], {})[f"{module}.{where}"] = None
    return Uses({name: raised.get(name, {}) | made.get(name, {}) for name in {*raised, *made}})


def uses_of_invariants() -> Uses:
    """The modules in which checks with an invariant's number are made."""
    found: dict[str, dict[str, None]] = {}
    for path, tree in _sources():
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=called, args=[ast.Constant(value=str(number)), *_]) if _last_name(called) in CHECKS:
                    found.setdefault(number, {})[_module(path)] = None
    return Uses(found)


def tests_held() -> dict[str, dict[str, str]]:
    """By table and code, the test that fails without the rule, as pytest names it."""
    return tomllib.loads((ROOT / "tests" / "held_rules" / "held.toml").read_text())


def triggers() -> dict[str, tuple[str, str, str]]:
    """Every trigger of the database, by name: when it looks, at which table, and its file."""
    return {
        name: (when, table, file.relative_to(ROOT).as_posix())
        for app in APPS
        for file in sorted((ROOT / app / "sql").glob("*.sql"))
        if not file.stem.endswith("_reverse")
        for name, when, table in TRIGGER.findall(file.read_text())
    }


def tests_of_triggers() -> dict[str, str]:
    """By trigger, a test that sees it refuse."""
    return tomllib.loads((ROOT / "tests" / "held_rules" / "guards.toml").read_text())


def bugs() -> list[Bug]:
    """The deliberate bugs, in the order of their list: read, not imported, for the product imports no test."""
    tree = ast.parse((ROOT / "tests" / "deliberate_bugs" / "bugs.py").read_text())
    found: list[Bug] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _last_name(node.func) == Bug.__name__:
            said = {each.arg: ast.literal_eval(each.value) for each in node.keywords}
            found.append(Bug(name=said["name"], breaks=said["breaks"], file=said["file"], tests=said["tests"]))
    return found


def page(note: str) -> str:
    """The page."""
    held = tests_held()
    lines = [
        note,
        "",
        "# Rules, and where they live",
        "",
        "From a posting to the rule that made it: its entry's kind is a line of the first table. From a refusal, a policy or",
        "an invariant to the code that carries it out: the next three. Who raises a refusal comes first in its line, then",
        "who makes one, or answers with its code, for others; who only catches it is not named. What each kind may move is",
        "in [accounts and flows](flows.md), how invariants are looked at, and which have nothing to look at yet, in",
        "[what is verified](verification.md).",
        "",
        "The last column of these four is one test, of several perhaps, that fails once the rule is taken away. See it fail,",
        "for any code of theirs: `.venv/bin/python -m tests.held_rules PIN_LOCKED`. Taken away means: the ledger refuses the",
        "kind of entry; each `raise` and each `return` of the refusal, or of the function named for it, does nothing (one that",
        "points at an input's field by `.at(...)`, or is kept in a variable first, stays); the policy says the most or the",
        "least that it can; all checks with the invariant's number find nothing. (Each check of the ledger by itself:",
        "`tests/wallet/test_each_check.py`.)",
        "",
        "Rules that are no row of a table lead to their tests in [rules in the code](#rules-in-the-code).",
    ]
    for title, head, rules, uses in (
        ("Entries", ("entry", "what happens", "posted by", "held by"), kinds(), uses_of_kinds()),
        ("Refusals", ("code", "what it says", "raised in", "held by"), refusals(), uses_of_refusals()),
        ("Policies", ("policy", "what it rules", "asked by", "held by"), dated_policies(), uses_of_names()),
        (
            "Invariants",
            ("number", "what is looked for", "looked for in", "held by"),
            invariants(),
            uses_of_invariants(),
        ),
    ):
        lines += ["", f"## {title}", "", *_table(head, rules, uses, held[title.lower()])]
    return "\n".join([*lines, "", *_database(), "", *_broken(), ""])


def _database() -> Iterator[str]:
    yield from (
        "## Database",
        "",
        "What its triggers refuse, whoever asks. The test is one that sees the trigger refuse.",
        "",
    )
    yield from ("| trigger | looks | at | file | seen to refuse by |", "|---|---|---|---|---|")
    held = tests_of_triggers()
    for name, (when, table, path) in sorted(triggers().items()):
        file, _, test = held[name].partition("::")
        yield f"| `{name}` | {when.lower()} | `{table}` | [`{path}`](../{path}) | [`{test}`](../{file}) |"


def _broken() -> Iterator[str]:
    yield from (
        "## Rules in the code",
        "",
        "What is no row of a table above: the order of locks, horizons, roundings, what is written before what. Each is",
        "broken on purpose in a copy of the checkout, and one of the tests named must fail. See it:",
        "`.venv/bin/python -m tests.deliberate_bugs fold-without-horizon`.",
        "",
        "| rule | kept in | caught by | broken as |",
        "|---|---|---|---|",
    )
    for bug in bugs():
        caught = ", ".join(f"[`{test}`](../{test.partition('::')[0]})" for test in bug.tests)
        breaks = bug.breaks.replace("|", "\\|")
        yield f"| {breaks} | [`{bug.file}`](../{bug.file}) | {caught} | `{bug.name}` |"


def _table(head: tuple[str, ...], rules: Iterable[Rule], uses: Uses, held: Mapping[str, str]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|---|---|---|---|"
    for rule in rules:
        sentence = " ".join(rule.sentence.split()).replace("|", "\\|")
        file, _, test = held[rule.code].partition("::")
        yield f"| `{rule.code}` | {sentence} | {_cell(uses.of(rule))} | [`{test}`](../{file}) |"


def _cell(places: list[str]) -> str:
    return ", ".join(f"[`{place}`](../{_file_of(place)})" for place in places)


def _file_of(place: str) -> str:
    """The file of a module, a function or a method, from the checkout's root."""
    parts = place.split(".")
    while parts:
        for path in (Path(*parts).with_suffix(".py"), Path(*parts) / "__init__.py"):
            if (ROOT / path).is_file():
                return path.as_posix()
        parts.pop()
    raise ValueError(f"{place} is nowhere in the checkout.")


def _first_sentence(doc: str | None) -> str:
    return " ".join((doc or "").split("\n\n")[0].split())


def _raised_through(name: str) -> set[str]:
    """A refusal's class, and the function that puts its facts together, where there is one (InsufficientFunds)."""
    return {name, "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")}


def _makers_of_refusals(scopes: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Full name → a refusal's class name: of the class, and of the function named for it that returns it."""
    found = {f"{each.__module__}.{each.__name__}": each.__name__ for each in errors.all_errors()}
    named_for = {name: each for each in found.values() for name in _raised_through(each)}
    for path, tree in _sources():
        module = _module(path)
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name in named_for and node.returns:
                returned = found.get(_full_name(node.returns, module, scopes))
                if returned == named_for[node.name]:
                    found[f"{module}.{node.name}"] = returned
    return found


def _names_of_module(module: str, tree: ast.Module) -> dict[str, str]:
    """What a module's names stand for: what it imports, wherever in it, and what it defines itself."""
    names = {
        node.name: f"{module}.{node.name}" for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)
    }
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(source), level=0):
                names |= {each.asname or each.name: f"{source}.{each.name}" for each in node.names}
            case ast.Import():
                names |= {each.asname: each.name for each in node.names if each.asname}
                names |= {top: top for each in node.names if not each.asname for top in [each.name.partition(".")[0]]}
    return names


def _full_name(node: ast.expr, module: str, scopes: Mapping[str, Mapping[str, str]]) -> str:
    """What a name, with or without dots, stands for in a module: where it is defined, or "" for what is no such name."""
    match node:
        case ast.Name(id=name):
            found = scopes[module].get(name, "")
        case ast.Attribute(value=inner, attr=name):
            before = _full_name(inner, module, scopes)
            found = f"{before}.{name}" if before else ""
        case _:
            return ""
    source, _, last = found.rpartition(".")
    further = scopes.get(source, {}).get(last, found)
    return further if further == found else _full_name(ast.Name(last), source, scopes)


def _called_in(expression: ast.expr, module: str, scopes: Mapping[str, Mapping[str, str]]) -> set[str]:
    return {_full_name(node.func, module, scopes) for node in ast.walk(expression) if isinstance(node, ast.Call)}


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


def _sources() -> Iterator[tuple[Path, ast.Module]]:
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path, ast.parse(path.read_text())
