"""What `verify_ledger` asks of top-ups: a confirmed one has its one entry, and no other brought money in."""

from wallet.verification import check_sql

check_sql(
    "I9",
    "each confirmed top-up credited its wallet once, by its amount",
    """
    SELECT 'top-up ' || t.id, 'it is confirmed; its wallet got ' || coalesce(e.amount::text, 'nothing') || ' of ' || t.amount
    FROM wallet_topup t LEFT JOIN (
        SELECT e.subject, p.account_id, sum(p.amount) AS amount
        FROM wallet_journalentry e JOIN wallet_posting p ON p.entry_id = e.id AND p.amount > 0
        WHERE e.kind = 'top_up' GROUP BY e.subject, p.account_id
    ) e ON e.subject = t.id AND e.account_id = t.account_id
    WHERE t.state = 'confirmed' AND e.amount IS DISTINCT FROM t.amount
    """,
)
check_sql(
    "I9",
    "each entry of a top-up is that of a confirmed one",
    """
    SELECT 'entry ' || e.id, 'it credits top-up ' || e.subject || ', which does not say so'
    FROM wallet_journalentry e
    WHERE e.kind = 'top_up' AND NOT EXISTS (
        SELECT FROM wallet_topup t WHERE t.id = e.subject AND t.entry_id = e.id AND t.state = 'confirmed')
    """,
)
