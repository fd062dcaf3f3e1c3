"""The house's own job: a sign of life."""

from celery import shared_task

from config.health import note_beat
from superapp.jobs import Every, Job, declare


@shared_task(name="config.heartbeat")
def heartbeat() -> int:
    """Beat asked and a worker answered; `/readyz` shows how long ago. It does no work of the business."""
    note_beat()
    return 0


declare(Job(name="heartbeat", task="config.heartbeat", schedule=Every(5), order=1000))
