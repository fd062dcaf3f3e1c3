"""The page for operators names every metric there is, with its labels, and no other; and the settings that have a say."""

import re

import config.health  # noqa: F401  declares beat's age
from superapp import counters, metrics
from tests.docs.readme import ROOT

PAGE = (ROOT / "docs" / "operations.md").read_text()
ROW = re.compile(r"^\| `(superapp_\w+)`(?: \(([\w, ]+)\))? \|", re.MULTILINE)


def labels_of(name: str) -> set[str]:
    """The labels a metric has in the code."""
    if name in metrics._gauges:
        return set(metrics._gauges[name].labels)
    (metric,) = [metric for metric in counters.COUNTED if metric._name in {name, name.removesuffix("_total")}]
    return set(metric._labelnames)


def test_every_metric_is_on_the_page_and_no_other() -> None:
    shown = dict(ROW.findall(PAGE))
    assert set(shown) == set(metrics.names())


def test_each_is_shown_with_its_labels() -> None:
    for name, labels in ROW.findall(PAGE):
        assert set(filter(None, labels.split(", "))) == labels_of(name), name


def test_every_queue_that_is_watched_is_told_of() -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith("| `superapp_oldest_pending_seconds`"))
    assert {queue for queue, _ in metrics._waiting if queue != "outbox"} <= set(re.findall(r"`(\w+)`", row))
