"""The bank's messages: each is kept as it came, under the bank's own reference, and acted on at most once.

outcome     when                                                              effect
APPLIED     it ends a top-up that is open                                     confirmed: bank -, wallet +; declined: FAILED
REPEATED    it says of an ended top-up what is known already                  none
UNKNOWN     it names no instruction of ours                                   none; an operator looks
MISMATCH    it names another amount or currency than was instructed           none; an operator looks
CONFLICT    it contradicts the final state, whichever came first stands       none; an operator looks
REFUSED     the ledger refused the credit, e.g. the wallet is closed          none; an operator looks

The same message again (same rail and reference) is not even a new row; only one that was REFUSED is tried again then, so
that money the bank has taken comes in once the wallet is open again. Row, state and postings are one transaction: a
crash leaves none of them, and the bank's next message or our inquiry finds the top-up open.
"""

from decimal import Decimal
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from superapp import clock, outbox
from superapp.errors import DomainError
from wallet import rails, top_ups
from wallet.accounts import currency_asset, system_account
from wallet.flows import BANK, TOP_UP
from wallet.ledger import Leg, Plan, post
from wallet.models import BankCallback, TopUp
from wallet.policies import TOP_UP_INQUIRY_AFTER
from wallet.rails import sandbox

Outcome = BankCallback.Outcome
Status = BankCallback.Status


def record_callback(
    *,
    rail: str,
    reference: str,
    instruction: str,
    status: str,
    amount: Decimal,
    currency: str,
    reason: str = "",
) -> BankCallback:
    """Takes in one message of a bank and does what it calls for; the second time it is given, nothing.

    `reference` is the bank's unique reference of the message, `instruction` our reference as the bank repeats it.
    Answers with the message as kept. Raises ValueError for a status that is neither confirmed nor declined.
    """
    said = Status(status)
    with transaction.atomic():
        # inserted first: a second copy of the message waits here for the first one's transaction, then finds its row
        message = BankCallback(
            rail=rail,
            reference=reference,
            instruction=instruction,
            status=said,
            amount=amount,
            currency=currency,
            reason=reason,
            outcome=Outcome.UNKNOWN,
            received_at=clock.now(),
        )
        BankCallback.objects.bulk_create([message], ignore_conflicts=True)
        kept = BankCallback.objects.select_for_update(no_key=True).get(rail=rail, reference=reference)
        if kept.id == message.id:
            kept.amount = amount  # as the bank wrote it: a column cuts what is finer than any minor unit
        elif kept.outcome != Outcome.REFUSED:
            return kept
        row = _top_up_named(rail=rail, instruction=kept.instruction)
        kept.outcome = _apply(kept, row) if row else Outcome.UNKNOWN
        kept.top_up = row
        kept.save(update_fields=["outcome", "top_up"])
    return kept


def inquire_unanswered(*, limit: int = 100) -> int:
    """Asks the bank about top-ups it has not answered in time (policy wallet.top_up.inquiry_after); how many were asked.

    Finds lost messages: what the bank then says is recorded like a message of its own. One it has never seen is
    instructed again.
    """
    now = clock.now()
    patience = TOP_UP_INQUIRY_AFTER.now().value
    waiting = TopUp.objects.filter(state=TopUp.State.INSTRUCTED, instructed_at__lte=now - patience).filter(
        Q(inquired_at__isnull=True) | Q(inquired_at__lte=now - patience)
    )
    asked = 0
    for row in waiting.order_by("id")[:limit]:
        if not TopUp.objects.filter(id=row.id, inquired_at=row.inquired_at).update(inquired_at=now):
            continue  # another worker is asking
        asked += 1
        answer = rails.rail(row.rail).inquire(str(row.id))
        if answer.status == "unknown":
            with transaction.atomic():
                rails.rail(row.rail).instruct(top_ups.instruction_of(row))
        elif answer.status != "pending":
            record_callback(
                rail=row.rail,
                reference=answer.message_reference,
                instruction=str(row.id),
                status=answer.status,
                amount=answer.amount,
                currency=answer.currency,
                reason=answer.reason,
            )
    return asked


@outbox.handles(sandbox.SAYS)
def hear_the_sandbox_bank(payload: dict[str, str]) -> None:
    """One message of the sandbox bank arrives."""
    record_callback(rail=sandbox.NAME, **{**payload, "amount": Decimal(payload["amount"])})  # type: ignore[arg-type]


def _top_up_named(*, rail: str, instruction: str) -> TopUp | None:
    try:
        reference = UUID(instruction)
    except ValueError:
        return None
    # locked: the state that is compared below must still be the state when this transaction moves it
    return TopUp.objects.select_for_update(no_key=True).filter(id=reference, rail=rail).first()


def _apply(message: BankCallback, row: TopUp) -> Outcome:
    if row.state in {TopUp.State.CONFIRMED, TopUp.State.FAILED}:
        agrees = (row.state == TopUp.State.CONFIRMED) == (message.status == Status.CONFIRMED)
        return Outcome.REPEATED if agrees else Outcome.CONFLICT
    if message.amount != row.amount or message.currency != row.currency:
        return Outcome.MISMATCH
    if message.status == Status.DECLINED:
        moved = top_ups.move(row.id, TopUp.State.FAILED, failure=message.reason or "declined", ended_at=clock.now())
        return Outcome.APPLIED if moved else Outcome.CONFLICT
    try:
        with transaction.atomic():
            return Outcome.APPLIED if _credit(row) else Outcome.CONFLICT
    except DomainError:
        return Outcome.REFUSED


def _credit(row: TopUp) -> bool:
    bank = system_account(BANK, currency_asset(row.currency))
    plan = Plan(kind=TOP_UP, subject=row.id, legs=[Leg(bank, -row.amount), Leg(row.account_id, row.amount)])
    if not top_ups.move(row.id, TopUp.State.CONFIRMED, entry_id=plan.entry_id, ended_at=clock.now()):
        return False
    post(plan)
    return True
