"""The wallet's Celery tasks: thin doors, each calls one function. What is due is found in the database."""

from celery import shared_task

from superapp.jobs import Every, Job, declare
from wallet import bank_callbacks, folding


@shared_task(name="wallet.inquire_top_ups")
def inquire_top_ups() -> int:
    """Asks the bank about top-ups it has not answered in time."""
    return bank_callbacks.inquire_unanswered()


@shared_task(name="wallet.fold")
def fold() -> int:
    """Folds the system accounts' new postings into their checkpoint. Answers 0: nothing waits for it."""
    folding.fold()
    return 0


declare(Job(name="wallet.fold", task="wallet.fold", schedule=Every(30), order=900))
declare(Job(name="wallet.inquire_top_ups", task="wallet.inquire_top_ups", schedule=Every(5), order=20))
