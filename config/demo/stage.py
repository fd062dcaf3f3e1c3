"""How the story looks: headings, what a request said and was answered, tables, a line of a chart."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from wallet.trial_balance import TrialAsset

BARS = "▁▂▃▄▅▆▇█"

Row = Sequence[str]


class Stage:
    """Writes to a terminal of any width, or to a file without colours."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self._acts = 0

    def act(self, title: str) -> None:
        """A heading."""
        self._acts += 1
        self.console.print()
        self.console.rule(f"[bold]{self._acts}. {title}", align="left", style="dim")

    def tell(self, words: str) -> None:
        """A sentence of the story."""
        self.console.print(Padding(words, (0, 0, 0, 2)))

    def asked(self, who: str, operation: str, answer: str, *, refused: bool = False) -> None:
        """One API call and what came back."""
        colour = "yellow" if refused else "green"
        self.console.print(
            Padding(Text.assemble((f"{who} ", "bold"), (operation, "cyan"), " → ", (answer, colour)), (0, 0, 0, 2))
        )

    def table(self, columns: Sequence[str], rows: Iterable[Row], *, figures: Sequence[int] = ()) -> None:
        """A table; `figures` are the columns set to the right."""
        table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
        for place, name in enumerate(columns):
            table.add_column(name, justify="right" if place in figures else "left", no_wrap=True)
        for row in rows:
            table.add_row(*row)
        self.console.print(Padding(table, (0, 0, 0, 4)))

    def chart(self, label: str, values: Sequence[Decimal]) -> None:
        """A line of bars between the least and the most of the values."""
        self.console.print(
            Padding(
                Text.assemble(
                    f"{label}  ", (bars(values), "cyan"), f"  {values[0]} → {values[-1]}, at most {max(values)}"
                ),
                (1, 0, 0, 4),
            )
        )

    def trial(self, asset: TrialAsset) -> None:
        """One asset's accounts, with the sum of both sides below."""
        rows = [
            (
                line.kind + (f" ({line.scope})" if line.scope else ""),
                str(line.accounts),
                amount(-line.balance) if line.balance < 0 else "",
                amount(line.balance) if line.balance >= 0 else "",
            )
            for line in asset.lines
        ]
        total = ("total", "", amount(asset.debits), amount(asset.credits))
        self.table([asset.asset, "accounts", "debit", "credit"], [*rows, total], figures=(1, 2, 3))


def bars(values: Sequence[Decimal]) -> str:
    """One block for each value, from the lowest for the least to the full one for the most; flat when all are equal."""
    least, most = min(values), max(values)
    if least == most:
        return BARS[0] * len(values)
    return "".join(BARS[int((value - least) / (most - least) * (len(BARS) - 1))] for value in values)


def amount(value: Decimal) -> str:
    """The amount with its thousands apart and two decimals, which is all that the sandbox's assets have."""
    return f"{value:,.2f}"
