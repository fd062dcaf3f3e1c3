"""Who is entitled to what for a day, and from when on that can no longer change.

entitled(D) of an account = the sum of its postings that are effective before 00:00 of D + 1, as recorded when D was frozen.
It is computed from the account, never copied. An account whose last posting was recorded before the end of D is entitled to
its balance, without a look at its postings, so a day costs the same after years of history. Of any other it is the balance
after the last posting recorded before the end of D, and what of the later ones counts. Neither can change once D is frozen,
whatever is written meanwhile: so `wallet.ledger_days` may work it out at any moment, for any version of the account's row.

Freezing D, each step its own transaction:

| step | when | what it does |
|---|---|---|
| close the door | D is over, D - 1 is paid, no correction is under way, orders through D are final | `frozen_through` = D |
| horizon | the door is closed | keeps the next transaction's number |
| frozen | every transaction of this database below the horizon has ended | `frozen_at` |

The door is closed under the fund's lock, which whatever counts back into the fund shares (`catalogue.lock_against_freezing`):
without it something back-dated could still arrive. Postings numbered below the horizon count, others do not: without it a
posting not yet committed would count or not by chance. The first pass waits for `frozen_at`: without it it could miss one
that commits later.

Payments are not disturbed: nothing here waits while holding a lock that they take.
"""

import time
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from funds import catalogue
from funds.income_figures import INCOME_RUN
from funds.models import Fund, FundDay, FundOrder
from superapp import clock, runs

PATIENCE_SECONDS = 0.5
"""How long a worker waits on the spot for the transactions below a horizon."""
LOOK_SECONDS = 0.01

# Who is under way below the horizon and is not known to be somewhere else: a transaction shows itself by the lock on its own
# number, and is waited for where it does not (its number is drawn a moment before; a prepared one belongs to no session).
FREEZE_SQL = """
    UPDATE funds_fundday SET frozen_at = coalesce(frozen_at, %(now)s)
    WHERE id = %(day)s AND horizon IS NOT NULL AND NOT EXISTS (
        SELECT FROM pg_snapshot_xip(pg_current_snapshot()) AS open (tx)
        WHERE open.tx::text::bigint < horizon AND NOT EXISTS (
            SELECT FROM pg_locks l JOIN pg_stat_activity s ON s.pid = l.pid
            WHERE l.locktype = 'transactionid' AND l.granted AND l.mode = 'ExclusiveLock' AND l.transactionid = open.tx::xid
              AND s.datname <> current_database()
        )
    )
"""

# For a row `a` of wallet_account. The postings it looks at are below the horizon, so every snapshot since `frozen_at` has them.
ENTITLED_SQL = """
    CASE WHEN a.last_recorded_at < %(day_end)s THEN a.balance
         ELSE coalesce((
                  SELECT q.balance_after FROM wallet_posting q
                  WHERE q.account_id = a.id AND q.recorded_at < %(day_end)s
                  ORDER BY q.sequence DESC LIMIT 1), 0)
              + coalesce((
                  SELECT sum(p.amount) FROM wallet_posting p
                  WHERE p.account_id = a.id
                    AND p.sequence > coalesce((
                        SELECT q.sequence FROM wallet_posting q
                        WHERE q.account_id = a.id AND q.recorded_at < %(day_end)s
                        ORDER BY q.sequence DESC LIMIT 1), 0)
                    AND p.effective_at < %(day_end)s AND p.tx < %(horizon)s), 0)
    END"""

# `available` serves losses and corrections: what can be taken from an account without touching its holds;
# nothing from a frozen one.
BASIS_SQL = f"""
    SELECT a.id, CASE WHEN a.frozen THEN 0 ELSE greatest(a.balance - a.held + a.credit_limit, 0) END AS available,
           {ENTITLED_SQL} AS entitled
    FROM wallet_account a
    WHERE a.asset_id = %(asset)s AND a.kind = 'fund' AND a.id BETWEEN %(low)s AND %(high)s
    OFFSET 0
"""

ACCOUNTS_SQL = """
    SELECT a.id FROM wallet_account a
    WHERE a.asset_id = %(asset)s AND a.kind = 'fund' AND a.id BETWEEN %(low)s AND %(high)s
"""


def end_of(fund: Fund, day: date) -> datetime:
    """The instant at which a day of the fund is over: 00:00 of the next, in the fund's zone."""
    return clock.start_of(day + timedelta(days=1), catalogue.zone_of(fund))


def freeze(fund: Fund, day: date) -> FundDay | None:
    """Takes whatever step of freezing can be taken now. The frozen day, or None while something is still awaited."""
    row = FundDay.objects.filter(fund=fund, day=day).first() or _close_the_door(fund, day)
    if row is None:
        return None
    if row.horizon is None:
        _set_horizon(row)
    if row.frozen_at is None:
        _wait_for_horizon(row)
        row.refresh_from_db()
    return row if row.frozen_at is not None else None


def basis_params(fund: Fund, frozen: FundDay, *, low: UUID, high: UUID) -> dict[str, Any]:
    """The parameters of `BASIS_SQL` for a range of accounts."""
    return {
        "asset": catalogue.share_asset(fund).id,
        "day_end": end_of(fund, frozen.day),
        "horizon": frozen.horizon,
        "low": low,
        "high": high,
    }


def what_is_awaited(fund: Fund, day: date) -> str | None:
    """What keeps a day from being frozen, in words for operators; None when nothing does."""
    if clock.now() < end_of(fund, day):
        return "the day is not over"
    last = FundDay.objects.filter(fund=fund).exclude(day=day).order_by("-day").first()
    if day != fund.first_day and (last is None or last.day != day - timedelta(days=1) or last.closed_by_id is None):
        return f"the income of {day - timedelta(days=1)} has not been paid"
    # Else whether a correction earns on this day would depend on which of its batches had been posted.
    correction = runs.unfinished().filter(kind=INCOME_RUN, scope=fund.code, day__lt=day).first()
    if correction is not None:
        return f"the correction of {correction.day} is being posted"
    waiting = FundOrder.objects.filter(fund=fund, state=FundOrder.State.PLACED, effective_day__lte=day).count()
    return f"{waiting} orders that count from {day} or before are not final" if waiting else None


def _close_the_door(fund: Fund, day: date) -> FundDay | None:
    with transaction.atomic():
        # Excludes whoever writes into the fund's past (FOR SHARE); what they have written is visible below.
        locked = Fund.objects.select_for_update(no_key=True).get(pk=fund.pk)
        row = FundDay.objects.filter(fund=fund, day=day).first()
        if row is not None:
            return row
        if what_is_awaited(locked, day) is not None:
            return None
        if locked.frozen_through is None or locked.frozen_through < day:
            Fund.objects.filter(pk=fund.pk).update(frozen_through=day)
        return FundDay.objects.create(fund=fund, day=day)


def _set_horizon(row: FundDay) -> None:
    """In a transaction of its own, begun after the door was closed: the number is above all that passed the door."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
        horizon = cursor.fetchone()[0]
        FundDay.objects.filter(pk=row.pk, horizon__isnull=True).update(horizon=horizon)


def _wait_for_horizon(row: FundDay) -> None:
    """Payments of the last moment end within milliseconds: worth waiting for here; what lasts longer is left to the sweep."""
    gives_up_at = time.monotonic() + PATIENCE_SECONDS
    while not _set_frozen(row) and time.monotonic() < gives_up_at:
        time.sleep(LOOK_SECONDS)


def _set_frozen(row: FundDay) -> bool:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(FREEZE_SQL, {"now": clock.now(), "day": row.pk})
        return bool(cursor.rowcount)
