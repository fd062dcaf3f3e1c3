"""The funds' Celery tasks and when they run: thin doors, each calls one function. What is due is found in the database."""

from datetime import time
from uuid import UUID

from celery import shared_task

from funds import income, order_sets
from superapp import doorbell
from superapp.jobs import ByPolicy, Daily, Every, Job, declare

WORK_SECONDS = 20.0
"""How long one message works on a run before it hands on to the next."""


@shared_task(name="funds.confirm_subscriptions")
def confirm_subscriptions() -> int:
    """Confirms the subscriptions whose day has come."""
    return _until_nothing(order_sets.confirm_due)


@shared_task(name="funds.let_redemptions_leave")
def let_redemptions_leave() -> int:
    """Lets the redeemed shares leave whose day has come."""
    return _until_nothing(order_sets.leave_due)


@shared_task(name="funds.settle_with_managers")
def settle_with_managers() -> int:
    """Sends the day's net cash to the funds' managers, or takes it from them."""
    return order_sets.settle_with_manager()


@shared_task(name="funds.pay_out_redemptions")
def pay_out_redemptions() -> int:
    """Pays settled redemptions into the wallets."""
    return _until_nothing(order_sets.pay_out_due)


@shared_task(name=income.PAY_TASK)
def pay_income() -> int:
    """Opens the income runs that are due and works on all that are unfinished."""
    return income.work_on_all(income.open_due_runs(), seconds=WORK_SECONDS).steps


@shared_task(name=income.WORK_TASK)
def work_income_run(run_id: str, helper: int = 0) -> int:
    """Helps with one run; a message that runs out of time hands on to another."""
    steps = income.work(UUID(run_id), seconds=WORK_SECONDS)
    if steps and income.is_unfinished(UUID(run_id)):
        doorbell.ring(income.WORK_TASK, run_id=run_id, helper=helper)
    return steps


def _until_nothing(one_set: "order_sets.OneSet") -> int:
    done = 0
    for _ in range(order_sets.SETS_PER_MESSAGE):
        moved = one_set()
        if not moved:
            break
        done += moved
    return done


# At midnight orders come and leave, then the day that has ended is paid: a day's end is frozen behind its orders.
_MIDNIGHT = Daily(time(0, 0))
for _name, _schedule, _order in (
    ("funds.confirm_subscriptions", Every(15), 300),
    ("funds.let_redemptions_leave", Every(15), 310),
    ("funds.pay_income", Every(5), 320),
    ("funds.settle_with_managers", Every(60), 330),
    ("funds.pay_out_redemptions", Every(5), 340),
):
    declare(Job(name=_name, task=_name, schedule=_schedule, order=_order))
    if _order < 320:
        declare(Job(name=f"{_name}.midnight", task=_name, schedule=_MIDNIGHT, order=_order))
# The sweep sees what leaves after the opening; the opening is where a journey stops.
declare(
    Job(
        name="funds.settle_with_managers.opening",
        task="funds.settle_with_managers",
        schedule=ByPolicy(order_sets.settlement_openings),
        order=330,
    )
)
