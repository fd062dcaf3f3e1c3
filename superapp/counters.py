"""What each process counts and measures as it works. How it is told to Prometheus: `superapp.metrics`.

Labels come from lists in the code (codes, tasks, topics, fields of the schema), never from a request.
"""

from prometheus_client import CollectorRegistry, Counter, Histogram

from superapp import metric_files

_QUICK = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)
_LONG = (0.01, 0.05, 0.25, 1.0, 2.5, 5.0, 15.0, 60.0, 240.0)

REGISTRY = CollectorRegistry()
"""The counters and latencies of this process."""

REFUSALS = Counter(
    "superapp_refusals", "Requests that were refused, by the code of the rule.", ["code"], registry=REGISTRY
)
RESPONSES = Counter(
    "superapp_http_responses", "Answers over HTTP, by part of the site and status.", ["area", "status"], registry=REGISTRY
)  # fmt: skip
OPERATION_SECONDS = Histogram(
    "superapp_operation_seconds", "How long an operation of the API took, by root field.", ["operation"],
    buckets=_QUICK, registry=REGISTRY,
)  # fmt: skip
TASK_SECONDS = Histogram(
    "superapp_task_seconds", "How long a task of a worker took, by how it ended.", ["task", "outcome"],
    buckets=_LONG, registry=REGISTRY,
)  # fmt: skip
RETRIES = Counter(
    "superapp_transaction_retries", "Transactions done again after a deadlock or a serialisation failure.",
    registry=REGISTRY,
)  # fmt: skip
DATABASE_FAULTS = Counter(
    "superapp_database_faults", "Statements the database ended, by kind: time-outs, deadlocks, lost connections.",
    ["kind"], registry=REGISTRY,
)  # fmt: skip
BELLS = Counter(
    "superapp_doorbells", "Messages to workers, by what became of them: rung, failed, silent.", ["outcome"],
    registry=REGISTRY,
)  # fmt: skip
DELIVERIES = Counter(
    "superapp_outbox_deliveries", "Deliveries of the outbox that were tried, by topic.", ["topic", "outcome"],
    registry=REGISTRY,
)  # fmt: skip

COUNTED = (
    REFUSALS, RESPONSES, OPERATION_SECONDS, TASK_SECONDS, RETRIES, DATABASE_FAULTS, BELLS, DELIVERIES
)  # fmt: skip
"""All of them, for the list of names."""


def begin() -> None:
    """Makes this process's files, if it keeps its counters in such, with all the room that they may need.

    For who serves: before a web process takes its first request, and a worker's process its first task.
    """
    RETRIES.inc(0)
    OPERATION_SECONDS.labels("viewer")
    metric_files.take_room()


def refused(code: str) -> None:
    """Counts a refusal. The code is one of `superapp.errors` or of the API's top level."""
    REFUSALS.labels(code).inc()
