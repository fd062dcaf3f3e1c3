"""The wallet's Celery tasks: thin doors, each calls one function. What is due is found in the database."""

from celery import shared_task

from superapp.jobs import Daily, Every, Job, declare
from wallet import bank_callbacks, folding, holds, sealing, verification_runs


@shared_task(name="wallet.inquire_top_ups")
def inquire_top_ups() -> int:
    """Asks the bank about top-ups it has not answered in time."""
    return bank_callbacks.inquire_unanswered()


@shared_task(name="wallet.lapse_holds")
def lapse_holds() -> int:
    """Ends holds whose term has come, and frees what they held."""
    return holds.lapse_due()


@shared_task(name="wallet.fold")
def fold() -> int:
    """Folds the system accounts' new postings into their checkpoint. Answers 0: nothing waits for it."""
    folding.fold()
    return 0


@shared_task(name="wallet.seal")
def seal() -> int:
    """Seals what has been posted. Answers 0: nothing waits for it."""
    sealing.seal()
    return 0


@shared_task(name="wallet.verify_new")
def verify_new() -> int:
    """Verifies what has been posted since the last clean time. Answers 0: nothing waits for it."""
    if verification_runs.incremental_is_due():
        verification_runs.run(extent=verification_runs.Extent.INCREMENTAL, freeze=True)
    return 0


@shared_task(name="wallet.verify_all", soft_time_limit=540, time_limit=570)
def verify_all() -> int:
    """The day's full verification, once. A ledger too large for the time limit is verified by the command, at night."""
    if verification_runs.full_is_due():
        verification_runs.run(extent=verification_runs.Extent.FULL, freeze=True)
    return 0


declare(Job(name="wallet.fold", task="wallet.fold", schedule=Every(30), order=900))
declare(Job(name="wallet.seal", task="wallet.seal", schedule=Every(60), order=910))
declare(
    Job(
        name="wallet.verify_new",
        task="wallet.verify_new",
        schedule=Every(verification_runs.INCREMENTAL_EVERY.total_seconds()),
        order=920,
    )
)
declare(Job(name="wallet.verify_all", task="wallet.verify_all", schedule=Daily(verification_runs.FULL_AT), order=930))
declare(Job(name="wallet.lapse_holds", task="wallet.lapse_holds", schedule=Every(5), order=30))
declare(Job(name="wallet.inquire_top_ups", task="wallet.inquire_top_ups", schedule=Every(5), order=20))
