"""Figures for operators: what this site counts and measures, and how it is told to Prometheus.

| kind | where it lives | cost |
|---|---|---|
| counters and latencies | in each process, kept in a file of its own under METRICS_DIR | a few microseconds |
| waiting work, lags, runs | nowhere: read from the database in one statement of bounded time | at the scrape |
| beat's age and the like | read by a function when somebody asks | at the scrape |

Each app declares what it has to show (`waiting_work`, `gauge`, `reading`; counters are in `superapp.counters`), and `page()`
writes it. Labels come from lists in the code (queues, states, kinds), never from a request, so that no one can make their
number grow; none names a person, an amount or a key. What a figure means and when to act on it: docs/operations.md.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.db import DatabaseError, InterfaceError, connection, transaction
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from superapp import clock, metric_files
from superapp.counters import COUNTED, REGISTRY

log = logging.getLogger(__name__)

SCRAPE_SECONDS = 1.0
"""How long the database may take to answer a scrape; without its answer the other figures are told alone."""

MOST_COUNTED = 10_000
"""Waiting rows are counted up to here: beyond it, how old the oldest is says more, and a count would cost too much."""

PREFIX = "superapp_"


@dataclass(frozen=True, kw_only=True)
class _Gauge:
    doc: str
    labels: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Waiting:
    queue: str
    state: str
    rows: str
    oldest: str


Row = tuple[Sequence[str], float]

_gauges: dict[str, _Gauge] = {}
_sql: dict[str, list[str]] = {}
_readings: dict[str, Callable[[], Iterable[Row]]] = {}
_waiting: dict[tuple[str, str], _Waiting] = {}


def gauge(name: str, doc: str, *, labels: Sequence[str] = (), sql: str) -> None:
    """Declares a figure that the database knows: `sql` yields its labels (text) and, last, its value.

    It may use `%(now)s`, the business instant, and must be served by an index or a table that stays small, since it runs at
    each scrape; a row without a value is left out. A second declaration of the same name, doc and labels adds its rows;
    another one raises ValueError.
    """
    _know(name, doc, labels)
    known = _sql.setdefault(name, [])
    if sql not in known:
        known.append(sql)


def reading(name: str, doc: str, *, labels: Sequence[str] = (), read: Callable[[], Iterable[Row]]) -> None:
    """Declares a figure that a function reads at each scrape, within a bound of its own; it yields no row where it cannot."""
    _know(name, doc, labels)
    _readings[name] = read


def waiting_work(*, queue: str, state: str, rows: str, oldest: str) -> None:
    """Declares rows that wait for a worker: how many (up to `MOST_COUNTED`) and since when the first of them has been due.

    `rows` is what follows FROM, `oldest` a query for the instant from which the oldest has been due, by an index. Both are SQL
    of the code and may use `%(now)s`, the business instant.
    """
    _waiting[queue, state] = _Waiting(queue=queue, state=state, rows=rows, oldest=oldest)


def names() -> dict[str, str]:
    """Every metric that `page()` can show, with its one sentence; as Prometheus knows it (counters end in _total)."""
    told = {
        metric.name + ("_total" if metric.type == "counter" else ""): metric.documentation for metric in _described()
    }
    return told | {name: declared.doc for name, declared in _gauges.items()}


def page() -> bytes:
    """All figures in Prometheus' text format. Takes at most `SCRAPE_SECONDS` of the database's time; never raises for it."""
    live = CollectorRegistry()
    live.register(_Live())
    return metric_files.page_of_processes(REGISTRY) + generate_latest(live)


def database_rows() -> Iterator[tuple[str, list[str], float]]:
    """Name, labels and value of each figure the database knows, from one statement. Raises DatabaseError."""
    with transaction.atomic(), connection.cursor() as cursor:
        # As a parameter of the session, not of the statement: of all limits the shortest rules.
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{round(SCRAPE_SECONDS * 1000)}ms"])
        cursor.execute(statement(), {"now": clock.now()})
        yield from (row for row in cursor.fetchall() if row[2] is not None)


def statement() -> str:
    """The one statement of a scrape."""
    parts = [part for name in _sql for part in (_selected(name, sql) for sql in _sql[name])]
    parts += [part for waiting in _waiting.values() for part in _of_queue(waiting)]
    return "\nUNION ALL\n".join(parts)


PENDING = "superapp_pending"
OLDEST_PENDING = "superapp_oldest_pending_seconds"
SCRAPE_OK = "superapp_scrape_ok"


def _know(name: str, doc: str, labels: Sequence[str]) -> None:
    if not name.startswith(PREFIX):
        raise ValueError(f"A metric's name begins with {PREFIX}, not as {name}.")
    made = _Gauge(doc=doc, labels=tuple(labels))
    if _gauges.setdefault(name, made) != made:
        raise ValueError(f"The metric {name} is declared twice, and not alike.")


_know(PENDING, f"Rows that wait for a worker, counted up to {MOST_COUNTED:,}.", ("queue", "state"))
_know(OLDEST_PENDING, "How long the oldest of them has been due.", ("queue", "state"))
_know(SCRAPE_OK, "Whether a source answered this scrape (1) or not in time (0).", ("source",))


def _selected(name: str, sql: str) -> str:
    columns = [f"l{number}" for number, _ in enumerate(_gauges[name].labels)]
    labels = f"ARRAY[{', '.join(f'{column}::text' for column in columns)}]::text[]"
    return (
        f"SELECT '{name}'::text, {labels}, value::double precision FROM ({sql}) AS g({', '.join([*columns, 'value'])})"
    )


def _of_queue(waiting: _Waiting) -> list[str]:
    labels = f"ARRAY['{waiting.queue}', '{waiting.state}']::text[]"
    return [
        f"SELECT '{PENDING}'::text, {labels}, count(*)::double precision "
        f"FROM (SELECT FROM {waiting.rows} LIMIT {MOST_COUNTED}) AS q",
        f"SELECT '{OLDEST_PENDING}'::text, {labels}, "
        f"greatest(coalesce(extract(epoch FROM %(now)s - ({waiting.oldest})), 0), 0)::double precision",
    ]


class _Live(Collector):
    """What is read anew at each scrape."""

    def collect(self) -> Iterator[Metric]:
        """The families, one for each declared gauge; an empty one where its source did not answer."""
        families = {
            name: GaugeMetricFamily(name, declared.doc, labels=declared.labels) for name, declared in _gauges.items()
        }
        answered = families[SCRAPE_OK]
        answered.add_metric(["database"], float(_add(families)))
        for name, read in _readings.items():
            for labels, value in read():
                families[name].add_metric(labels, value)
        yield from families.values()


def _add(families: Mapping[str, GaugeMetricFamily]) -> bool:
    try:
        rows = list(database_rows())
    except (DatabaseError, InterfaceError) as fault:
        log.warning("the database did not answer a scrape", extra={"fault": type(fault).__name__})
        return False
    for name, labels, value in rows:
        families[name].add_metric(labels, value)
    return True


def _described() -> Iterator[Metric]:
    for metric in COUNTED:
        yield from metric.describe()
