"""Small payments without PIN: off until a person chooses up to which amount, and the PIN that switches it on.

what                          asks for the PIN     what bounds it
switching on, raising         yes                  policy wallet.small_payment.maximum
lowering, switching off       no                   nothing
a payment up to the amount    no                   the amount, and policy wallet.small_payment.of_a_day for the day's sum
any other payment             yes                  as ever

What is spent is counted on the PIN's row by one conditional UPDATE in the payment's own transaction: of payments sent at
once no more pass than fit into the day, and one that is refused or rolled back counts nothing. The row's day never falls:
a payment held up over midnight counts in the day that has begun, and does not empty it for those that follow. While the PIN
is locked nothing leaves without it either: somebody is guessing. Lock order: this row before any account.
"""

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from django.db.models import F
from django.db.models.expressions import Case, Value, When

from superapp import clock
from superapp.money import positive
from superapp.prepared import run
from wallet import pins
from wallet.errors import LimitExceeded, PinLocked, PinNotSet, PinRequired
from wallet.models import PaymentPin
from wallet.policies import SMALL_PAYMENT_MAXIMUM, SMALL_PAYMENTS_OF_A_DAY

NOTHING = Decimal(0)

_SPEND_SQL = """
    UPDATE wallet_paymentpin
    SET small_day = greatest(small_day, %s::date),
        small_spent = CASE WHEN small_day >= %s::date THEN small_spent ELSE 0 END + %s::numeric
    WHERE user_id = %s::uuid AND small_currency = %s::text AND small_amount >= %s::numeric
      AND CASE WHEN small_day >= %s::date THEN small_spent ELSE 0 END + %s::numeric <= %s::numeric
      AND (locked_until IS NULL OR locked_until <= %s::timestamptz)
    RETURNING small_spent
"""


@dataclass(frozen=True, slots=True)
class SmallPayments:
    """What a person has chosen. Amounts in `currency`."""

    amount: Decimal
    """Up to this much passes at a time."""
    currency: str
    of_a_day: Decimal
    """The most that passes in all on one business day."""
    spent_today: Decimal


def chosen_by(user_id: UUID) -> SmallPayments | None:
    """What the person has chosen, as it counts now; None while it is off."""
    row = PaymentPin.objects.filter(user_id=user_id, small_amount__gt=0).first()
    if row is None:
        return None
    return SmallPayments(
        amount=min(row.small_amount, _maximum(row.small_currency)),
        currency=row.small_currency,
        of_a_day=SMALL_PAYMENTS_OF_A_DAY.now().value.get(row.small_currency, NOTHING),
        spent_today=row.small_spent if row.small_day == clock.today() else NOTHING,
    )


def choose(*, user_id: UUID, amount: Decimal, currency: str, pin: str | None) -> None:
    """Lets payments up to `amount` pass without PIN from now on. Asks for the PIN unless that is no more than before.

    Raises InvalidAmount, LimitExceeded (policy wallet.small_payment.maximum), PinNotSet, PinRequired, PinWrong, PinLocked.
    """
    asked = positive(amount, currency).amount
    ruling = SMALL_PAYMENT_MAXIMUM.now()
    most = ruling.value.get(currency, NOTHING)
    if asked > most:
        raise LimitExceeded(
            rule=ruling.policy,
            rule_version=ruling.version,
            currency=currency,
            limit=most,
            used=NOTHING,
            remaining=most,
            resets_at=None,
        )
    rows = PaymentPin.objects.filter(user_id=user_id)
    # one conditional UPDATE: of two changes at once none can slip a higher amount past the question for the PIN
    if rows.filter(small_currency=currency, small_amount__gte=asked).update(small_amount=asked):
        return
    pins.verify(user_id=user_id, pin=pin)
    rows.update(
        small_amount=asked,
        small_currency=currency,
        # the day's sum outlives every change but that of the currency, in which it would mean nothing
        small_spent=Case(When(small_currency=currency, then=F("small_spent")), default=Value(NOTHING)),
    )


def switch_off(*, user_id: UUID) -> None:
    """Every payment asks for the PIN again. The day's sum is kept, so that switching on again frees nothing."""
    PaymentPin.objects.filter(user_id=user_id).update(small_amount=NOTHING)


def spend(*, user_id: UUID, amount: Decimal, currency: str) -> None:
    """Counts a payment that comes without PIN, in its transaction. Raises PinNotSet, PinLocked, and PinRequired when it is
    not switched on, above the amount, or more than fits into the day.
    """
    now, today = clock.now(), clock.today()
    most_of_a_day = SMALL_PAYMENTS_OF_A_DAY.at(now).value.get(currency, NOTHING)
    if amount <= _maximum(currency) and run(
        _SPEND_SQL, (today, today, amount, user_id, currency, amount, today, amount, most_of_a_day, now)
    ):
        return
    row = PaymentPin.objects.filter(user_id=user_id).only("locked_until").first()
    if row is None:
        raise PinNotSet
    if row.locked_until is not None and row.locked_until > now:
        raise PinLocked(until=row.locked_until)
    raise PinRequired


def _maximum(currency: str) -> Decimal:
    return SMALL_PAYMENT_MAXIMUM.now().value.get(currency, NOTHING)
