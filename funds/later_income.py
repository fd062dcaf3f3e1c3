"""Income of a holding that was redeemed whole, paid after its shares had left: it goes on to the wallet.

A redemption of all takes the balance when the shares leave. The income of the days before that is often paid afterwards (the
last day's always). It is posted as shares, like everyone's, and leaves at once: an order that follows the first one, counting
from the same instant, whose cash is settled and paid out like any other.
"""

from datetime import date
from typing import Any

from django.db import connection, transaction

from funds import catalogue
from funds.flows import REDEMPTION_LEFT
from funds.models import Fund, FundOrder
from funds.order_sets import LEFT_LEGS, LEFT_UPDATE, ORDERS_PER_SET, accounts_of
from superapp import clock
from superapp.models import Run
from wallet.ledger_sets import post_set

# Of the redemptions of all that left after the run's day the first is the one that ended the day's holding. Income that was
# posted before the shares left has gone along with them: the postings' order on the account tells. What the holder owed has
# been collected first (`funds.shortfalls`).
CANDIDATES = """
    SELECT o.*, i.amount AS income
    FROM (
        SELECT DISTINCT ON (x.share_account_id) x.*
        FROM funds_fundorder x
        WHERE x.fund_id = %(fund)s AND x.side = 'redeem' AND x.whole AND x.follows_id IS NULL
          AND x.state IN ('left', 'paid') AND x.effective_day > %(day)s
        ORDER BY x.share_account_id, x.effective_day, x.id
    ) o
    CROSS JOIN LATERAL (
        SELECT p.amount - coalesce((
                   SELECT sum(c.amount)
                   FROM funds_shortfallcollection c JOIN funds_incomeshortfall s ON s.id = c.shortfall_id
                   WHERE c.run_id = %(run)s AND s.account_id = o.share_account_id), 0) AS amount
        FROM wallet_posting p
        WHERE p.account_id = o.share_account_id AND p.subject = %(run)s AND p.amount > 0
          AND p.sequence > (SELECT q.sequence FROM wallet_posting q
                            WHERE q.account_id = o.share_account_id AND q.entry_id = o.effective_entry_id)
    ) i
    WHERE i.amount > 0 AND NOT EXISTS (SELECT FROM funds_fundorder f WHERE f.follows_id = o.id AND f.run_id = %(run)s)
"""

FIRST_DAY_SQL = f"SELECT min(c.effective_day) FROM ({CANDIDATES}) c"

LOCK_SQL = f"""
    SELECT a.id FROM wallet_account a
    WHERE a.id IN (SELECT c.share_account_id FROM ({CANDIDATES}) c WHERE c.effective_day = %(leave_day)s
                   ORDER BY c.share_account_id LIMIT %(limit)s)
    ORDER BY a.id
    FOR NO KEY UPDATE
"""

INSERT_SQL = f"""
    INSERT INTO funds_fundorder (id, fund_id, owner_id, side, state, whole, amount, placed_at, trade_day, effective_day,
                                 cash_account_id, share_account_id, follows_id, run_id)
    SELECT uuidv7(), c.fund_id, c.owner_id, 'redeem', 'placed', false,
           least(c.income, greatest(a.balance - a.held, 0)), %(now)s, c.trade_day, c.effective_day,
           c.cash_account_id, c.share_account_id, c.id, %(run)s
    FROM ({CANDIDATES}) c JOIN wallet_account a ON a.id = c.share_account_id
    WHERE c.effective_day = %(leave_day)s AND a.id = ANY(%(accounts)s)
    ON CONFLICT DO NOTHING
    RETURNING id
"""


def send_on(*, fund: Fund, run: Run) -> int:
    """Sends on one set of the incomes this run posted to holdings that had left. 0: none is left.

    Otherwise the number of accounts looked at, also when another worker has sent them on meanwhile: there may be a next set.
    """
    params: dict[str, Any] = {
        "fund": fund.pk,
        "run": run.pk,
        "day": run.day,
        "limit": ORDERS_PER_SET,
        "now": clock.now(),
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(FIRST_DAY_SQL, params)
        leave_day: date | None = cursor.fetchone()[0]
        if leave_day is None:
            return 0
        params["leave_day"] = leave_day
        cursor.execute(LOCK_SQL, params)
        accounts = params["accounts"] = [row[0] for row in cursor.fetchall()]
        cursor.execute(INSERT_SQL, params)
        orders = [row[0] for row in cursor.fetchall()]
        post_set(
            kind=REDEMPTION_LEFT,
            legs=LEFT_LEGS,
            accounts="SELECT share_account_id FROM funds_fundorder WHERE id = ANY(%(orders)s)",
            params={"orders": orders, **accounts_of(fund)},
            effective_at=clock.start_of(leave_day, catalogue.zone_of(fund)),
            then=[LEFT_UPDATE],
        )
        # What a holder no longer has cannot go on; such an order ends with nothing.
        FundOrder.objects.filter(pk__in=orders, state=FundOrder.State.PLACED).update(state=FundOrder.State.CANCELLED)
    return len(accounts)
