"""What `verify_ledger` looks at for funds: income once and conserved, orders against postings, frozen days left alone."""

from collections.abc import Iterator

from django.db.backends.utils import CursorWrapper

from funds.income_figures import figures_of
from superapp.models import Run
from wallet.verification import check, check_sql

check_sql(
    "I18",
    "one income per account, day, kind and revision",
    """
    SELECT 'account ' || p.account_id, 'it has ' || count(*) || ' incomes of ' || r.scope || ' ' || r.day || ' revision '
        || r.revision
    FROM wallet_posting p JOIN superapp_run r ON r.id = p.subject AND r.kind = 'fund_income'
    JOIN wallet_account a ON a.id = p.account_id AND NOT a.folded
    JOIN wallet_journalentry e ON e.id = p.entry_id AND e.kind <> 'shortfall_collected'
    GROUP BY p.account_id, r.id HAVING count(*) > 1
    """,
)
check_sql(
    "I18",
    "the batches of a run have posted what its postings say",
    """
    SELECT 'run ' || r.id, 'its batches posted ' || b.posted || ', its postings on shares in issue say ' || coalesce(p.paid, 0)
    FROM superapp_run r
    JOIN (SELECT run_id, sum(coalesce((figures ->> 'posted')::numeric, 0)) AS posted
          FROM superapp_runbatch GROUP BY run_id) b ON b.run_id = r.id
    LEFT JOIN (
        SELECT p.subject, -sum(p.amount) AS paid
        FROM wallet_posting p JOIN wallet_account a ON a.id = p.account_id AND a.kind = 'fund_issued'
        JOIN wallet_journalentry e ON e.id = p.entry_id AND e.kind <> 'fund_income_carried'
        GROUP BY p.subject
    ) p ON p.subject = r.id
    WHERE r.kind = 'fund_income' AND b.posted <> coalesce(p.paid, 0)
    """,
)
check_sql(
    "I18",
    "a fund's income counts from the day after its own",
    """
    SELECT 'entry ' || e.id, 'it counts from ' || e.effective_at || ', but is income of ' || r.scope || ' ' || r.day
    FROM wallet_journalentry e JOIN superapp_run r ON r.id = e.subject AND r.kind = 'fund_income'
    JOIN funds_fund f ON f.code = r.scope
    WHERE e.kind <> 'shortfall_collected' AND e.effective_at <> ((r.day + 1)::timestamp AT TIME ZONE f.zone)
    """,
)
check_sql(
    "I19",
    "nothing was written into a frozen day but corrections and what follows from them",
    """
    SELECT 'entry ' || e.id, 'it counts from ' || e.effective_at || ', but ' || f.code || ' ' || d.day
        || ' was frozen before it'
    FROM funds_fundday d JOIN funds_fund f ON f.id = d.fund_id
    JOIN wallet_account a ON a.kind = 'fund_issued' AND a.scope = f.code
    JOIN wallet_posting p ON p.account_id = a.id AND p.tx >= d.horizon
        AND p.effective_at < ((d.day + 1)::timestamp AT TIME ZONE f.zone)
    JOIN wallet_journalentry e ON e.id = p.entry_id
    LEFT JOIN superapp_run r ON r.id = e.subject AND r.kind = 'fund_income'
    LEFT JOIN funds_fundorder o ON o.id = e.subject
    WHERE r.id IS NULL AND o.follows_id IS NULL
    """,
)
check_sql(
    "I9",
    "an order's entry is the one of its state, by its amount",
    """
    SELECT 'fund order ' || o.id, 'it is ' || o.state || ' with ' || coalesce(o.amount::text, 'no amount')
        || '; its shares moved by ' || coalesce(p.amount::text, 'nothing')
    FROM funds_fundorder o LEFT JOIN (
        SELECT p.subject, p.account_id, sum(p.amount) AS amount FROM wallet_posting p
        JOIN funds_fundorder x ON x.id = p.subject AND x.share_account_id = p.account_id
        GROUP BY p.subject, p.account_id
    ) p ON p.subject = o.id AND p.account_id = o.share_account_id
    WHERE coalesce(p.amount, 0) <> CASE WHEN o.state = 'confirmed' THEN o.amount WHEN o.state IN ('left', 'paid') THEN -o.amount
                                        ELSE 0 END
    """,
)
check_sql(
    "I8",
    "an open redemption holds its amount",
    """
    SELECT 'fund order ' || o.id, 'it redeems ' || o.amount || ' and holds ' || coalesce(h.remaining, 0)
    FROM funds_fundorder o LEFT JOIN wallet_hold h ON h.id = o.hold_id
    WHERE o.state = 'placed' AND o.side = 'redeem' AND NOT o.whole AND o.amount <> coalesce(h.remaining, 0)
    """,
)

OPEN_ROWS = {
    "fund_orders": "o.side = 'subscribe' AND o.state = 'placed'",
    "redemptions": "o.side = 'redeem' AND o.state = 'left'",
    "fund_cash": "o.settlement_id IS NULL AND o.state IN ('confirmed', 'left')",
}
"""For each system account of a fund the orders whose cash it holds; after a settlement those of fund_cash are none."""

for _kind, _open in OPEN_ROWS.items():
    check_sql(
        "I21",
        f"{_kind} is the sum of its open orders",
        f"""
        SELECT 'account {_kind} of ' || f.code, 'its balance is ' || coalesce(b.balance, 0) || ', its open orders make '
            || coalesce(o.amount, 0)
        FROM funds_fund f
        LEFT JOIN (
            SELECT a.scope, sum(p.amount) AS balance FROM wallet_account a JOIN wallet_posting p ON p.account_id = a.id
            WHERE a.kind = '{_kind}' GROUP BY a.scope
        ) b ON b.scope = f.code
        LEFT JOIN (
            SELECT o.fund_id,
                   sum(o.amount * CASE WHEN o.state = 'left' AND '{_kind}' = 'fund_cash' THEN -1 ELSE 1 END) AS amount
            FROM funds_fundorder o WHERE {_open} GROUP BY o.fund_id
        ) o ON o.fund_id = f.id
        WHERE coalesce(b.balance, 0) <> coalesce(o.amount, 0)
        """,
    )

check_sql(
    "I21",
    "what is owed in shares is the sum of what shortfalls have left open",
    """
    SELECT 'account owed of ' || f.code, 'its balance is ' || coalesce(b.balance, 0) || ', the open shortfalls make '
        || coalesce(s.amount, 0)
    FROM funds_fund f
    LEFT JOIN (
        SELECT a.scope, sum(p.amount) AS balance FROM wallet_account a JOIN wallet_posting p ON p.account_id = a.id
        JOIN wallet_asset t ON t.id = a.asset_id AND t.type = 'fund_shares'
        WHERE a.kind = 'owed' GROUP BY a.scope
    ) b ON b.scope = f.code
    LEFT JOIN (
        SELECT fund_id, sum(amount - collected) AS amount FROM funds_incomeshortfall GROUP BY fund_id
    ) s ON s.fund_id = f.id
    WHERE coalesce(b.balance, 0) <> -coalesce(s.amount, 0)
    """,
)
check_sql(
    "I21",
    "what was collected of a shortfall is what income paid for it",
    """
    SELECT 'shortfall ' || s.id, s.collected || ' is collected, its collections make ' || coalesce(c.amount, 0)
        || ', their postings ' || coalesce(c.posted, 0)
    FROM funds_incomeshortfall s
    LEFT JOIN (
        SELECT c.shortfall_id, sum(c.amount) AS amount, -sum(p.amount) AS posted
        FROM funds_shortfallcollection c JOIN funds_incomeshortfall x ON x.id = c.shortfall_id
        LEFT JOIN wallet_posting p ON p.account_id = x.account_id AND p.entry_id = c.entry_id
        GROUP BY c.shortfall_id
    ) c ON c.shortfall_id = s.id
    WHERE s.collected <> coalesce(c.amount, 0) OR s.collected <> coalesce(c.posted, 0)
    """,
)


@check("I18", "paid + carried + left = distributable + brought forward")
def _conserved(_cursor: CursorWrapper) -> Iterator[tuple[str, str]]:
    for run in Run.objects.filter(kind="fund_income", state="closed").order_by("day", "revision").iterator():
        figures = figures_of(run)
        if not figures.conserved():
            yield f"run {run.pk}", f"{run} does not account for every cent: {figures}"
