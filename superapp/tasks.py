"""What the kernel does by itself: delivering the outbox."""

from celery import shared_task

from superapp import jobs, outbox


@shared_task(name=outbox.DELIVER_TASK)
def deliver_outbox() -> int:
    """Delivers what is due; how many deliveries were tried. A full batch rings for the next worker."""
    return outbox.deliver_due()


jobs.declare(jobs.Job(name="outbox", task=outbox.DELIVER_TASK, schedule=jobs.Every(2), order=900))
