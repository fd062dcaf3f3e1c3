"""What happens to orders by themselves, in sets: each step takes up to `ORDERS_PER_SET` orders and is one transaction.

| step | when | orders | postings |
|---|---|---|---|
| `confirm_due` | 00:00 of the effective day | subscriptions PLACED → CONFIRMED | fund_orders → fund_cash, fund_issued → fund |
| `leave_due` | 00:00 of the effective day | redemptions PLACED → LEFT | fund → fund_issued; fund_cash → redemptions |
| `settle_with_manager` | from the settlement time of a bank day | those that came or left, netted | fund_cash ↔ bank |
| `pay_out_due` | once settled | redemptions LEFT → PAID | redemptions → wallet |

An order that its wallet cannot take (it is closed) stays LEFT and rests, so that it is in nobody's way; an operator sees it.

Orders are claimed with FOR UPDATE SKIP LOCKED, oldest day first, so any number of workers share the work and none waits for
another; a worker that dies leaves its orders as they were. A fund's days go one by one, on each confirmations before leaving,
whoever comes by and however late: a redemption of all takes along what is confirmed at the same instant, and nothing that is
confirmed on a later day. Each function answers how many orders it took up; 0: nothing is due.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Case, When

from funds import catalogue
from funds.flows import MANAGER_SETTLEMENT, REDEMPTION_LEFT, REDEMPTION_PAID, SUBSCRIPTION_CONFIRMED
from funds.models import Fund, FundOrder, ManagerSettlement
from funds.orders import give_back
from funds.policies import MANAGER_SETTLEMENT_TIME
from superapp import calendars, clock
from wallet.accounts import system_account
from wallet.flows import BANK, FUND_CASH, FUND_ISSUED, FUND_ORDERS, REDEMPTIONS
from wallet.ledger import Leg, Plan, post
from wallet.ledger_sets import post_set

ORDERS_PER_SET = 5_000
SETS_PER_MESSAGE = 40
"""How many sets one task moves before it lets the next message go on."""

RETRY_PAY_OUT_AFTER = timedelta(minutes=10)
"""How long an order rests whose wallet could not be paid (it is closed), until it is tried again."""

FIRST_TOLD = 20
"""How many refused orders of a set the log names."""

log = logging.getLogger(__name__)

OneSet = Callable[[], int]

IN_TURN = Case(When(side=FundOrder.Side.SUBSCRIBE, then=0), default=1)
"""Which side goes first on a day."""

_S = FundOrder.State

CLAIM_DUE_SQL = """
    SELECT id FROM funds_fundorder
    WHERE fund_id = %(fund)s AND effective_day = %(day)s AND side = %(side)s AND state = 'placed'
    ORDER BY id LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
"""

CONFIRMED_LEGS = """
    SELECT o.id AS item, row_number() OVER (ORDER BY o.id, l.place) AS position, l.account_id, l.amount, o.id AS subject
    FROM funds_fundorder o
    CROSS JOIN LATERAL (VALUES
        (1, %(fund_orders)s::uuid, -o.amount), (2, %(fund_cash)s::uuid, o.amount),
        (3, %(fund_issued)s::uuid, -o.amount), (4, o.share_account_id, o.amount)) AS l (place, account_id, amount)
    WHERE o.id = ANY(%(orders)s)
"""

# Of an account's free shares (all holds of this set given back) a redemption of all takes what the set's other
# redemptions leave; there is at most one of all per account.
LEAVING = """
    SELECT o.id, o.share_account_id, o.hold_id,
           CASE WHEN o.whole THEN a.balance - a.held + s.freed - s.others ELSE o.amount END AS amount
    FROM funds_fundorder o
    JOIN wallet_account a ON a.id = o.share_account_id
    JOIN (
        SELECT x.share_account_id, coalesce(sum(h.remaining), 0) AS freed,
               coalesce(sum(x.amount) FILTER (WHERE NOT x.whole), 0) AS others
        FROM funds_fundorder x LEFT JOIN wallet_hold h ON h.id = x.hold_id AND h.state = 'open'
        WHERE x.id = ANY(%(orders)s)
        GROUP BY x.share_account_id
    ) s ON s.share_account_id = o.share_account_id
    WHERE o.id = ANY(%(orders)s)
"""

LEFT_LEGS = f"""
    SELECT o.id AS item, row_number() OVER (ORDER BY o.id, l.place) AS position, l.account_id, l.amount, o.id AS subject
    FROM ({LEAVING}) o
    CROSS JOIN LATERAL (VALUES
        (1, o.share_account_id, -o.amount), (2, %(fund_issued)s::uuid, o.amount),
        (3, %(fund_cash)s::uuid, -o.amount), (4, %(redemptions)s::uuid, o.amount)) AS l (place, account_id, amount)
    WHERE o.amount > 0
"""

LEFT_CAPTURES = f"""
    SELECT o.id AS item, h.id AS hold_id, h.account_id, h.remaining AS amount, true AS final
    FROM ({LEAVING}) o JOIN wallet_hold h ON h.id = o.hold_id AND h.state = 'open'
    WHERE o.amount > 0
"""

LEFT_UPDATE = """
    UPDATE funds_fundorder o SET state = 'left', effective_entry_id = p.entry_id, amount = l.amount
    FROM posted p JOIN legs l ON l.item = p.item AND l.account_id = %(redemptions)s
    WHERE o.id = p.item AND o.state = 'placed'
"""

CLAIM_UNSETTLED_SQL = """
    SELECT id, side, amount FROM funds_fundorder
    WHERE fund_id = %(fund)s AND settlement_id IS NULL AND state IN ('confirmed', 'left')
    ORDER BY id LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
"""

CLAIM_UNPAID_SQL = """
    SELECT id FROM funds_fundorder
    WHERE fund_id = %(fund)s AND state = 'left' AND settlement_id IS NOT NULL
      AND (rests_until IS NULL OR rests_until <= %(now)s)
    ORDER BY id LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
"""

PAID_LEGS = """
    SELECT o.id AS item, row_number() OVER (ORDER BY o.id, l.place) AS position, l.account_id, l.amount, o.id AS subject
    FROM funds_fundorder o
    CROSS JOIN LATERAL (VALUES
        (1, %(redemptions)s::uuid, -o.amount), (2, o.cash_account_id, o.amount)) AS l (place, account_id, amount)
    WHERE o.id = ANY(%(orders)s)
"""


@dataclass(frozen=True, slots=True)
class DueSet:
    """Orders of one fund and side that count from the same day."""

    fund: Fund
    day: date


def confirm_due() -> int:
    """Confirms the oldest set of subscriptions whose day has come, counting from 00:00 of that day."""
    due = _oldest_due(FundOrder.Side.SUBSCRIBE)
    if due is None:
        return 0
    with transaction.atomic():
        fund = catalogue.lock_against_freezing(fund_id=due.fund.id, counting_from=due.day)
        orders = _claim(CLAIM_DUE_SQL, fund=fund.id, day=due.day, side=FundOrder.Side.SUBSCRIBE.value)
        if not orders:
            return 0
        result = post_set(
            kind=SUBSCRIPTION_CONFIRMED,
            legs=CONFIRMED_LEGS,
            params={"orders": orders, **accounts_of(fund)},
            effective_at=clock.start_of(due.day, catalogue.zone_of(fund)),
            then=[
                "UPDATE funds_fundorder o SET state = 'confirmed', effective_entry_id = p.entry_id "
                "FROM posted p WHERE o.id = p.item AND o.state = 'placed'"
            ],
        )
    if result.refused:
        _end_refused(list(result.refused), end=_S.REJECTED)
    return len(orders)


def leave_due() -> int:
    """Lets the oldest set of redeemed shares leave whose day has come, counting from 00:00 of that day."""
    due = _oldest_due(FundOrder.Side.REDEEM)
    if due is None:
        return 0
    with transaction.atomic():
        fund = catalogue.lock_against_freezing(fund_id=due.fund.id, counting_from=due.day)
        orders = _claim(CLAIM_DUE_SQL, fund=fund.id, day=due.day, side=FundOrder.Side.REDEEM.value)
        if not orders:
            return 0
        result = post_set(
            kind=REDEMPTION_LEFT,
            legs=LEFT_LEGS,
            captures=LEFT_CAPTURES,
            accounts="SELECT share_account_id FROM funds_fundorder WHERE id = ANY(%(orders)s)",
            params={"orders": orders, **accounts_of(fund)},
            effective_at=clock.start_of(due.day, catalogue.zone_of(fund)),
            then=[LEFT_UPDATE],
        )
        # A loss may have taken all that an order held: nothing leaves, and the order ends with nothing.
        FundOrder.objects.filter(pk__in=orders, state=_S.PLACED).exclude(pk__in=result.refused).update(
            state=_S.CANCELLED, amount=Decimal(0)
        )
    if result.refused:
        # Left waiting, it would hold up every later day of the fund.
        _end_refused(list(result.refused), end=_S.CANCELLED)
    return len(orders)


def settle_with_manager() -> int:
    """Nets the cash of the orders that came or left, and sends it to the manager or takes it from them.

    Only on a bank day, from the policy `funds.manager_settlement_time` on. When it has settled all, fund_cash is zero.
    """
    settled = 0
    for fund in Fund.objects.order_by("code"):
        zone = catalogue.zone_of(fund)
        local = clock.now().astimezone(zone)
        opens = MANAGER_SETTLEMENT_TIME.now(fund.code).value
        if not calendars.is_bank_day(local.date()) or local.time() < opens:
            continue
        while count := _settle_set(fund, local.date()):
            settled += count
    return settled


def settlement_openings(after: datetime, until: datetime) -> set[datetime]:
    """When settling with the managers opens, with after < instant <= until: each fund's policy, in its zone, day by day.

    A policy that changes within a day may open it by either ruling: both instants are named, and the look decides. Of more
    than two rulings on one day those between are not: what they would have opened is settled on the next.
    """
    openings: set[datetime] = set()
    for fund in Fund.objects.order_by("code"):
        zone = catalogue.zone_of(fund)
        day, last = after.astimezone(zone).date(), until.astimezone(zone).date()
        while day <= last:
            following = day + timedelta(days=1)
            for ruled_at in (clock.start_of(day, zone), clock.start_of(following, zone) - timedelta.resolution):
                opens = MANAGER_SETTLEMENT_TIME.at(ruled_at, fund.code).value
                openings.add(datetime.combine(day, opens, tzinfo=zone).astimezone(UTC))
            day = following
    return {instant for instant in openings if after < instant <= until}


def pay_out_due() -> int:
    """Pays settled redemptions into their owners' wallets, one set of each fund; what is refused rests, LEFT as it was."""
    taken = 0
    for fund in Fund.objects.filter(orders__state=_S.LEFT, orders__settlement__isnull=False).distinct():
        with transaction.atomic():
            orders = _claim(CLAIM_UNPAID_SQL, fund=fund.id, now=clock.now())
            if not orders:
                continue
            result = post_set(
                kind=REDEMPTION_PAID,
                legs=PAID_LEGS,
                params={"orders": orders, **accounts_of(fund)},
                then=[
                    "UPDATE funds_fundorder o SET state = 'paid', ended_entry_id = p.entry_id, rests_until = NULL "
                    "FROM posted p WHERE o.id = p.item AND o.state = 'left'"
                ],
            )
            if result.refused:
                refused = FundOrder.objects.filter(pk__in=list(result.refused), state=_S.LEFT)
                refused.update(rests_until=clock.now() + RETRY_PAY_OUT_AFTER)
        if result.refused:
            log.warning(
                "redemptions not paid out",
                extra={
                    "fund": fund.code,
                    "codes": sorted(set(result.refused.values())),
                    "count": len(result.refused),
                    "first": sorted(map(str, result.refused))[:FIRST_TOLD],
                },
            )
        taken += len(orders)
    return taken


def _settle_set(fund: Fund, day: date) -> int:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(CLAIM_UNSETTLED_SQL, {"fund": fund.id, "limit": ORDERS_PER_SET})
            rows = cursor.fetchall()
        if not rows:
            return 0
        net = sum((amount if side == FundOrder.Side.SUBSCRIBE else -amount for _, side, amount in rows), Decimal(0))
        settlement = ManagerSettlement(fund=fund, day=day, amount=net, orders=len(rows), settled_at=clock.now())
        if net:
            accounts = accounts_of(fund)
            bank = system_account(BANK, catalogue.cash_asset(fund))
            legs = [Leg(accounts["fund_cash"], -net), Leg(bank, net)]
            settlement.entry_id = post(Plan(kind=MANAGER_SETTLEMENT, subject=settlement.id, legs=legs))[0].entry_id
        settlement.save(force_insert=True)
        FundOrder.objects.filter(pk__in=[row[0] for row in rows]).update(settlement=settlement)
    return len(rows)


def _end_refused(order_ids: list[UUID], *, end: FundOrder.State) -> None:
    """Gives back cash that became no shares, or frees shares that may not leave; few, and one by one."""
    for order_id in order_ids:
        with transaction.atomic():
            order = (
                FundOrder.objects.select_for_update(no_key=True, of=("self",))
                .select_related("fund")
                .filter(pk=order_id, state=_S.PLACED)
                .first()
            )
            if order is not None:
                give_back(order, end=end)


def _oldest_due(side: FundOrder.Side) -> DueSet | None:
    """The earliest day of any fund on which orders of this side are next in turn.

    Looked at before any lock: an order that is placed now counts from a day to come, so what is next stays next until done.
    """
    found: DueSet | None = None
    for fund in Fund.objects.order_by("code"):
        today = clock.today(catalogue.zone_of(fund))
        waiting = FundOrder.objects.filter(fund=fund, state=_S.PLACED, effective_day__lte=today)
        first = waiting.order_by("effective_day", IN_TURN).values_list("effective_day", "side").first()
        if first is not None and first[1] == side and (found is None or first[0] < found.day):
            found = DueSet(fund=fund, day=first[0])
    return found


def _claim(sql: str, **params: Any) -> list[UUID]:
    with connection.cursor() as cursor:
        cursor.execute(sql, {**params, "limit": ORDERS_PER_SET})
        return [row[0] for row in cursor.fetchall()]


def accounts_of(fund: Fund) -> dict[str, UUID]:
    """The fund's system accounts, by the names that the SQL of its orders gives them."""
    cash, shares = catalogue.cash_asset(fund), catalogue.share_asset(fund)
    return {
        "fund_orders": system_account(FUND_ORDERS, cash, scope=fund.code),
        "fund_cash": system_account(FUND_CASH, cash, scope=fund.code),
        "fund_issued": system_account(FUND_ISSUED, shares, scope=fund.code),
        "redemptions": system_account(REDEMPTIONS, cash, scope=fund.code),
    }
