"""What `verify_ledger` asks of top-ups: a confirmed one has its one entry, no other brought money in, a key has one."""

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
check_sql(
    "I21",
    "a top-up is its owner's, in its wallet's currency",
    """
    SELECT 'top-up ' || t.id, 'its wallet is not its owner''s, or not in ' || t.currency
    FROM wallet_topup t LEFT JOIN wallet_account a ON a.id = t.account_id LEFT JOIN wallet_asset s ON s.id = a.asset_id
    WHERE a.owner_id IS DISTINCT FROM t.owner_id OR s.code IS DISTINCT FROM t.currency
    """,
)
check_sql(
    "I12",
    "each key of a top-up names one, of the same person, that no other key names",
    """
    SELECT 'key ' || k.id, 'it answers with top-up ' || coalesce(k.answer ->> 'top_up', 'none')
        || ', which is not its person''s, or another key''s too'
    FROM (
        SELECT id, user_id, answer, count(*) OVER (PARTITION BY answer ->> 'top_up') AS keys
        FROM superapp_idempotencykey WHERE operation = 'topUp' AND refusal = ''
    ) k LEFT JOIN wallet_topup t ON t.id::text = k.answer ->> 'top_up'
    WHERE k.keys > 1 OR t.owner_id IS DISTINCT FROM k.user_id
    """,
)
