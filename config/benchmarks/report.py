"""What a benchmark says: a small table for people, one JSON object for machines."""

import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from django.db import connection


@dataclass(frozen=True, slots=True)
class Measured:
    """One way of doing the work beside its limit. `rows` a round; `seconds`: of the median round; rates in rows a second."""

    name: str
    rows: int
    seconds: float
    rate: float
    limit_rate: float
    ratio: float
    ratios: Sequence[float]


@dataclass(frozen=True, slots=True)
class Figures:
    """All of one benchmark; the first variant is what its gate looks at."""

    benchmark: str
    variants: Sequence[Measured]
    peak_memory_mb: float
    """Of the largest process that did the work; the database's own are not counted."""
    hot_share: float
    """Of the updates of accounts, how many stayed in place: no index was touched."""
    facts: Mapping[str, float | int | str] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """The first variant's figures at the top, every variant's below."""
        first = asdict(self.variants[0])
        first["variant"] = first.pop("name")
        return {
            "benchmark": self.benchmark,
            **first,
            "peak_memory_mb": self.peak_memory_mb,
            "hot_share": self.hot_share,
            **self.facts,
            **_machine(),
            "variants": [asdict(variant) for variant in self.variants],
        }

    def as_table(self) -> str:
        """A few lines for a terminal."""
        head = f"{self.benchmark:24}{'rows':>10}{'seconds':>10}{'rows/s':>10}{'limit':>10}{'ratio':>8}   rounds"
        lines = [
            f"{variant.name:24}{variant.rows:>10,}{variant.seconds:>10.2f}{variant.rate:>10,.0f}"
            f"{variant.limit_rate:>10,.0f}{variant.ratio:>8.2f}   {' '.join(f'{ratio:.2f}' for ratio in variant.ratios)}"
            for variant in self.variants
        ]
        facts = {"peak_memory_mb": self.peak_memory_mb, "hot_share": self.hot_share, **self.facts}
        return "\n".join([head, *lines, "", *(f"{name:24}{value:>10}" for name, value in facts.items())])


def in_turns(name: str, *, rows: int, rounds: int, limit: Callable[[], float], ours: Callable[[], float]) -> Measured:
    """Lets both do `rows` rows in each round, taking turns at going first. Both answer with their seconds."""
    limits, seconds = [], []
    for number in range(rounds):
        if number % 2:
            seconds.append(ours())
            limits.append(limit())
        else:
            limits.append(limit())
            seconds.append(ours())
    ratios = [limited / taken for limited, taken in zip(limits, seconds, strict=True)]
    return Measured(
        name=name,
        rows=rows,
        seconds=round(statistics.median(seconds), 3),
        rate=round(rows / statistics.median(seconds), 1),
        limit_rate=round(rows / statistics.median(limits), 1),
        ratio=round(statistics.median(ratios), 3),
        ratios=[round(ratio, 3) for ratio in ratios],
    )


def hot_share() -> float:
    """The share of HOT updates of accounts so far. Sessions report what they did when they end, or a second later."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(
            "SELECT n_tup_hot_upd, n_tup_upd FROM pg_stat_user_tables WHERE relname = 'wallet_account'",
        )
        hot, updated = cursor.fetchone()
    return round(hot / updated, 4) if updated else 0.0


def _machine() -> dict[str, str | int]:
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        (server,) = cursor.fetchone()
    return {
        "cores": os.cpu_count() or 0,
        "machine": platform.machine(),
        "python": platform.python_version(),
        "postgresql": str(server).split(" ", maxsplit=1)[0],
    }
