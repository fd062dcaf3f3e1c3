"""The wallet's Celery tasks: thin doors, each calls one function. What is due is found in the database."""

from celery import shared_task

from superapp.jobs import Every, Job, declare
from wallet import bank_callbacks


@shared_task(name="wallet.inquire_top_ups")
def inquire_top_ups() -> int:
    """Asks the bank about top-ups it has not answered in time."""
    return bank_callbacks.inquire_unanswered()


declare(Job(name="wallet.inquire_top_ups", task="wallet.inquire_top_ups", schedule=Every(5), order=20))
