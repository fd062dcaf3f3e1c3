"""What `verify_ledger` asks of payments: transit is what waits (I21), each transfer ends once (I9), its entries are its own."""

from wallet.verification import check_sql

check_sql(
    "I21",
    "in_transit is the sum of the transfers that wait in it",
    """
    SELECT 'account ' || account_id, 'it holds ' || balance || ' ' || code || ', the waiting transfers sum to ' || waiting
    FROM (
        SELECT min(a.id::text) AS account_id, s.code,
               sum(a.balance + coalesce((SELECT sum(p.amount) FROM wallet_posting p WHERE p.account_id = a.id
                   AND p.tx >= (SELECT tx FROM wallet_foldcheckpoint)), 0)) AS balance,
               coalesce((SELECT sum(t.amount) FROM payments_transfer t
                   WHERE t.currency = s.code AND t.state IN ('authorised', 'returning')), 0) AS waiting
        FROM wallet_account a JOIN wallet_asset s ON s.id = a.asset_id
        WHERE a.kind = 'in_transit' AND a.owner_id IS NULL
        GROUP BY s.code
    ) b WHERE balance <> waiting
    """,
)
check_sql(
    "I9",
    "each transfer has the entries of its state, and no others",
    """
    SELECT 'transfer ' || t.id, 'it is ' || t.state || ' and has the entries ' || coalesce(e.kinds, 'none')
    FROM payments_transfer t LEFT JOIN (
        SELECT subject, string_agg(kind, ', ' ORDER BY kind) AS kinds
        FROM wallet_journalentry WHERE kind IN ('transfer_sent', 'transfer_settled', 'transfer_returned')
        GROUP BY subject
    ) e ON e.subject = t.id
    WHERE e.kinds IS DISTINCT FROM CASE t.state
        WHEN 'settled' THEN 'transfer_sent, transfer_settled'
        WHEN 'returned' THEN 'transfer_returned, transfer_sent'
        ELSE 'transfer_sent' END
    """,
)
check_sql(
    "I9",
    "each entry of a transfer belongs to one that exists",
    """
    SELECT 'entry ' || e.id, 'it is a ' || e.kind || ' of transfer ' || e.subject || ', which does not exist'
    FROM wallet_journalentry e
    WHERE e.kind IN ('transfer_sent', 'transfer_settled', 'transfer_returned')
      AND NOT EXISTS (SELECT FROM payments_transfer t WHERE t.id = e.subject)
    """,
)
check_sql(
    "I21",
    "a transfer's entries moved its amount between its two accounts",
    """
    SELECT 'transfer ' || t.id, 'entry ' || e.id || ' (' || e.kind || ') does not move ' || t.amount || ' as the transfer says'
    FROM payments_transfer t
    CROSS JOIN LATERAL (VALUES
        (t.sent_entry_id, 'transfer_sent', t.sender_account_id, -t.amount),
        (t.settled_entry_id, 'transfer_settled', t.recipient_account_id, t.amount),
        (t.returned_entry_id, 'transfer_returned', t.sender_account_id, t.amount)) AS w (id, kind, account_id, amount)
    LEFT JOIN wallet_journalentry e ON e.id = w.id AND e.kind = w.kind AND e.subject = t.id
    LEFT JOIN wallet_posting p ON p.account_id = w.account_id AND p.entry_id = w.id
    WHERE w.id IS NOT NULL AND (e.id IS NULL OR p.amount IS DISTINCT FROM w.amount)
    """,
)
check_sql(
    "I21",
    "a transfer that has ended names the entry that ended it, and its time",
    """
    SELECT 'transfer ' || t.id, 'it is ' || t.state || '; the entry that ended it, or its time, is another'
    FROM payments_transfer t LEFT JOIN wallet_journalentry e ON e.id = coalesce(t.settled_entry_id, t.returned_entry_id)
    WHERE t.state IN ('settled', 'returned') AND t.ended_at IS DISTINCT FROM e.recorded_at
    """,
)
check_sql(
    "I12",
    "each key of a transfer names one, of the same person, that no other key names",
    """
    SELECT 'key ' || k.id, 'it answers with transfer ' || coalesce(k.answer ->> 'transfer', 'none')
        || ', which is not its person''s, or another key''s too'
    FROM (
        SELECT id, user_id, answer, count(*) OVER (PARTITION BY answer ->> 'transfer') AS keys
        FROM superapp_idempotencykey WHERE operation = 'sendMoney' AND refusal = ''
    ) k LEFT JOIN payments_transfer t ON t.id::text = k.answer ->> 'transfer'
    WHERE k.keys > 1 OR t.sender_id IS DISTINCT FROM k.user_id
    """,
)
check_sql(
    "I21",
    "a transfer lies in the thread of its two people, between their accounts, in its currency",
    """
    SELECT 'transfer ' || t.id, 'its thread or accounts are not those of its sender and recipient in ' || t.currency
    FROM payments_transfer t
    LEFT JOIN payments_thread h ON h.id = t.thread_id
    LEFT JOIN wallet_account s ON s.id = t.sender_account_id
    LEFT JOIN wallet_account r ON r.id = t.recipient_account_id
    LEFT JOIN wallet_asset c ON c.code = t.currency
    WHERE (s.asset_id, r.asset_id) IS DISTINCT FROM (c.id, c.id)
       OR s.owner_id IS DISTINCT FROM t.sender_id OR r.owner_id IS DISTINCT FROM t.recipient_id
       OR (h.low_id, h.high_id) IS DISTINCT FROM (least(t.sender_id, t.recipient_id), greatest(t.sender_id, t.recipient_id))
    """,
)
