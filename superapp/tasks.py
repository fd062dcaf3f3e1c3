"""What the kernel does by itself: delivering the outbox, and removing what is past its time."""

from celery import shared_task

from superapp import housekeeping, jobs, outbox


@shared_task(name=outbox.DELIVER_TASK)
def deliver_outbox() -> int:
    """Delivers what is due; how many deliveries were tried. A full batch rings for the next worker."""
    return outbox.deliver_due()


@shared_task(name="superapp.tidy")
def tidy() -> int:
    """Removes delivered events, unfinished sign-ups and ended sessions past their time; how many rows went."""
    return housekeeping.tidy()


jobs.declare(jobs.Job(name="outbox", task=outbox.DELIVER_TASK, schedule=jobs.Every(2), order=900))
jobs.declare(jobs.Job(name="tidy", task="superapp.tidy", schedule=jobs.Every(600), order=950))
