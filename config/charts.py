"""The parts of the documentation that are drawn from the code itself: flows, modules and imports, where each rule lives.

Pure text in, pure text out; `manage.py charts` writes them, and a test says when they no longer agree with the code.
"""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import grimp
from django.db.models import TextChoices

from config import rule_index
from wallet import flows, holds, reversals

APPS = ("config", "payments", "funds", "wallet", "superapp")
State = TypeVar("State", bound=TextChoices)

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
NOTE = "<!-- Written by `manage.py charts`; change the code, not this page. -->"


def pages() -> dict[Path, str]:
    """Every drawn page, by where it is."""
    return {
        DOCS / "flows.md": flows_page(),
        DOCS / "modules.md": modules_page(),
        DOCS / "rules.md": rule_index.page(NOTE),
    }


def flows_page() -> str:
    """The chart of accounts and the flow table."""
    accounts = [
        f"| `{kind.code}` | {'system, folded' if kind.folded else 'people, inline'} | {kind.description} |"
        for kind in sorted(flows.account_kinds(), key=lambda kind: (kind.folded, kind.code))
    ]
    entries = [
        f"| `{kind.code}` | {flows.legs_in_words(kind)} | {_usage(kind)} | {'yes' if kind.reversible else 'no'} "
        f"| {kind.description} |"
        for kind in flows.entry_kinds()
    ]
    return "\n".join(
        [
            NOTE,
            "",
            "# Accounts and flows",
            "",
            "Positive is what is owed to the account's owner. An entry that does not fit its row is refused by the ledger,",
            "and found by `manage.py verify_ledger`.",
            "",
            "## Kinds of account",
            "",
            "Inline accounts carry their balance; folded ones have a checkpoint plus the postings since.",
            "",
            "| kind | whose | what for |",
            "|---|---|---|",
            *accounts,
            "",
            "## Flows",
            "",
            "`+` raises, `-` lowers, `±` may do either; C: in cash, S: in shares. Every leg may be absent, none may be added,",
            "and the postings of an entry sum to zero in each asset.",
            "",
            "Usage: what an entry takes from people's accounts is counted per account, class and business day, or given back",
            "on the day that was counted. Reversible: two operators may take the entry back, whole and once; every other",
            "kind has a product whose row would go on saying what is no longer so, and is undone by what it offers.",
            "",
            "| entry | legs | usage | reversible | what happens |",
            "|---|---|---|---|---|",
            *entries,
            "",
            "## Usage",
            "",
            "Counted with the postings, and verified; no limit asks yet (`wallet.usage`).",
            "",
            "| class | what is counted |",
            "|---|---|",
            *(f"| `{each.code}` | {each.description} |" for each in flows.usage_classes()),
            "",
            "## States of the ledger's own rows",
            "",
            "Every move is an UPDATE that names the state it moves from; the head of the module says which function makes it.",
            "No product places a hold with a term (`lapses_at`) yet, so none lapses.",
            "",
            "| row | from | to | by |",
            "|---|---|---|---|",
            *_moves("hold", holds.MOVES, module=holds),
            *_moves("reversal request", reversals.MOVES, module=reversals),
            "",
        ]
    )


def modules_page() -> str:
    """Each app with its modules, what each is for, and what the app imports of the others."""
    graph = grimp.build_graph(*APPS, cache_dir=None)
    lines = [
        NOTE,
        "",
        "# Modules",
        "",
        "Imports run one way: `config > payments | funds > wallet > superapp`. Migrations and empty packages are left out.",
    ]
    for app in APPS:
        imported = imports_of(graph, app)
        others = ", ".join(f"`{other}`" for other in APPS if other in imported) or "nothing of the other apps"
        lines += ["", f"## {app}", "", f"Imports {others}.", "", "| module | what it is for |", "|---|---|"]
        lines += [f"| `{module}` | {sentence} |" for module, sentence in _described(app)]
    return "\n".join([*lines, ""])


def imports_of(graph: grimp.ImportGraph, app: str) -> set[str]:
    """The other apps that modules of `app` import."""
    return {
        imported.partition(".")[0]
        for module in graph.modules
        if module.partition(".")[0] == app
        for imported in graph.find_modules_directly_imported_by(module)
    } - {app}


def _usage(kind: flows.EntryKind) -> str:
    if kind.uses is None:
        return ""
    what = kind.uses.usage_class.code
    return f"gives back `{what}` of `{kind.uses.of.code}`" if kind.uses.of else f"counts `{what}`"


def _moves(row: str, moves: Mapping[State, frozenset[State]], *, module: ModuleType) -> list[str]:
    by = f"[`{module.__name__}`](../{module.__name__.replace('.', '/')}.py)"
    return [
        f"| {row} | {state.label} | {', '.join(sorted(each.label for each in onward))} | {by} |"
        if onward
        else f"| {row} | {state.label} | none: an end | |"
        for state, onward in moves.items()
    ]


def _described(app: str) -> Iterator[tuple[str, str]]:
    for path in sorted((ROOT / app).rglob("*.py")):
        if "migrations" in path.parts:
            continue
        text = ast.get_docstring(ast.parse(path.read_text()))
        if text:
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            yield name, " ".join(text.split("\n\n")[0].split()).replace("|", "\\|")
