"""The payments' Celery tasks: thin doors, each calls one function. What is due is found in the database."""

from celery import shared_task

from payments import settlement
from superapp.jobs import Every, Job, declare


@shared_task(name="payments.settle_due")
def settle_due() -> int:
    """Credits what is due, batch after batch, and sends back what was refused."""
    return settlement.settle_everything_due()


declare(Job(name="payments.settle_due", task="payments.settle_due", schedule=Every(2), order=10))
