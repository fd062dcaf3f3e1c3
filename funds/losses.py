"""A negative day, or a correction downwards: where a holder's loss is taken from, in this order.

1. what is available on the fund account;
2. what open redemptions hold: the hold shrinks, and with it the amount of the order;
3. the rest is owed (`IncomeShortfall`, and the account `owed` in shares), until later income pays it (`funds.shortfalls`).

A frozen account loses nothing: of it all is owed.

Called inside a batch's transaction, before its postings are written: it locks the open redemptions, then the accounts, in the
order everyone locks in, and makes room under the holds so that the postings fit.
"""

from collections.abc import Mapping
from typing import Any

from django.db import connection

from funds.entitlement import ACCOUNTS_SQL
from wallet.holds import free_in_set

LOCK_ORDERS_SQL = """
    SELECT id FROM funds_fundorder
    WHERE side = 'redeem' AND state = 'placed' AND fund_id = %(fund)s AND share_account_id BETWEEN %(low)s AND %(high)s
    ORDER BY id
    FOR NO KEY UPDATE
"""

LOCK_ACCOUNTS_SQL = f"{ACCOUNTS_SQL} ORDER BY a.id FOR NO KEY UPDATE"

# Of an account's open redemptions the oldest gives first.
FROM_HOLDS_SQL = """
    SELECT x.hold_id, x.taken AS amount
    FROM (
        SELECT h.id AS hold_id, least(h.remaining, i.lacks - coalesce(sum(h.remaining) OVER (
                   PARTITION BY o.share_account_id ORDER BY o.id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)) AS taken
        FROM (SELECT s.id, -(s.amount + s.available) AS lacks FROM ({amounts}) s WHERE s.amount + s.available < 0) i
        JOIN funds_fundorder o ON o.share_account_id = i.id AND o.side = 'redeem' AND o.state = 'placed'
        JOIN wallet_hold h ON h.id = o.hold_id AND h.state = 'open'
        JOIN wallet_account a ON a.id = i.id AND NOT a.frozen
    ) x WHERE x.taken > 0
"""

SHRINK_ORDERS_SQL = """
    UPDATE funds_fundorder o SET amount = h.remaining
    FROM wallet_hold h
    WHERE h.id = o.hold_id AND o.side = 'redeem' AND o.state = 'placed' AND NOT o.whole AND o.amount <> h.remaining
      AND o.fund_id = %(fund)s AND o.share_account_id BETWEEN %(low)s AND %(high)s
"""

SHORTFALLS_SQL = """
    INSERT INTO funds_incomeshortfall (id, fund_id, account_id, run_id, amount, collected)
    SELECT uuidv7(), %(fund)s, s.id, %(run)s, -(s.amount + s.available), 0
    FROM ({amounts}) s WHERE s.amount + s.available < 0
"""


def make_room(*, amounts: str, params: Mapping[str, Any]) -> None:
    """Frees what the batch's losses need of open redemptions, and writes down what even that does not cover.

    `amounts`: a query of (id, amount, available) as `income_sql.amounts_sql` makes it; `params` also names fund and run.
    """
    with connection.cursor() as cursor:
        cursor.execute(LOCK_ORDERS_SQL, params)
        cursor.execute(LOCK_ACCOUNTS_SQL, params)
        if free_in_set(parts=FROM_HOLDS_SQL.format(amounts=amounts), params=params):
            cursor.execute(SHRINK_ORDERS_SQL, params)
        cursor.execute(SHORTFALLS_SQL.format(amounts=amounts), params)
