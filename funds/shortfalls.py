"""What holders owe is collected from their later income, in shares, before any of it goes on to cash.

A shortfall (`funds.losses`) stays open until income of the same account has paid it: an income run, once its batches are
posted, takes from each account that owes at most what is owed, what this run paid the account, and what is available there.
The oldest shortfall gives way first, and a run takes from an account once. It counts from when the run's income counts.

The posting names the run that left the shortfall: of that day the holder has now borne what its figure says, and the
income of the day that paid for it is shown whole.
"""

from typing import Any

from django.db import connection, transaction

from funds import catalogue
from funds.entitlement import end_of
from funds.flows import SHORTFALL_COLLECTED
from funds.models import Fund
from superapp.models import Run
from wallet.accounts import system_account
from wallet.flows import OWED
from wallet.ledger_sets import post_set

ACCOUNTS_PER_SET = 5_000

COLLECTABLE = """
    SELECT s.id, s.account_id, s.run_id, least(s.still_owed, least(i.amount, a.available) - s.owed_longer) AS amount
    FROM (
        SELECT x.id, x.account_id, x.run_id, x.amount - x.collected AS still_owed,
               coalesce(sum(x.amount - x.collected) OVER (
                   PARTITION BY x.account_id ORDER BY x.id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS owed_longer
        FROM funds_incomeshortfall x WHERE x.fund_id = %(fund)s AND x.collected < x.amount
    ) s
    JOIN (
        SELECT id, balance - held AS available FROM wallet_account WHERE balance > held AND NOT closed AND NOT frozen
    ) a ON a.id = s.account_id
    CROSS JOIN LATERAL (
        SELECT p.amount FROM wallet_posting p
        WHERE p.account_id = s.account_id AND p.subject = %(run)s AND p.amount > 0
    ) i
    WHERE least(i.amount, a.available) > s.owed_longer
      AND NOT EXISTS (
          SELECT FROM funds_shortfallcollection c JOIN funds_incomeshortfall y ON y.id = c.shortfall_id
          WHERE c.run_id = %(run)s AND y.account_id = s.account_id)
"""

NEXT_SQL = f"SELECT DISTINCT c.account_id FROM ({COLLECTABLE}) c ORDER BY c.account_id LIMIT %(limit)s"

LEGS = f"""
    SELECT c.id AS item, row_number() OVER (ORDER BY c.id) AS position, c.account_id, -c.amount AS amount,
           c.run_id AS subject, %(owed)s::uuid AS against
    FROM ({COLLECTABLE}) c WHERE c.account_id = ANY(%(accounts)s)
"""

# That no more is collected than is owed is a constraint of the table.
UPDATE_SHORTFALLS = """
    UPDATE funds_incomeshortfall s SET collected = s.collected - l.amount FROM legs l WHERE s.id = l.item
"""

INSERT_COLLECTIONS = """
    INSERT INTO funds_shortfallcollection (id, shortfall_id, run_id, amount, entry_id)
    SELECT uuidv7(), l.item, %(run)s, -l.amount, l.entry_id FROM legs l
"""


def collect(*, fund: Fund, run: Run) -> int:
    """Collects what one set of accounts owes from what this run paid them. 0: nothing is left to collect.

    Otherwise the number of accounts looked at, also when another worker has collected meanwhile: there may be a next set.
    """
    params: dict[str, Any] = {"fund": fund.pk, "run": run.pk, "limit": ACCOUNTS_PER_SET}
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(NEXT_SQL, params)
            accounts = params["accounts"] = [row[0] for row in cursor.fetchall()]
        if not accounts:
            return 0
        post_set(
            kind=SHORTFALL_COLLECTED,
            legs=LEGS,
            # What is owed changes only under the lock of the account that owes it, so it is worked out behind that lock.
            accounts="SELECT unnest(%(accounts)s::uuid[])",
            params={**params, "owed": system_account(OWED, catalogue.share_asset(fund), scope=fund.code)},
            effective_at=end_of(fund, run.day),
            paired=True,
            then=[UPDATE_SHORTFALLS, INSERT_COLLECTIONS],
        )
    return len(accounts)
