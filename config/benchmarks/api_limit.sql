-- The limit of `benchmark api`: a payment's writes in one function, no rule but the balance. It looks up the wallets and the
-- thread as the site does, because a phone names people, not rows.
CREATE FUNCTION benchmark_send(payer uuid, payee uuid, amount numeric, currency text, note text, key text, arrival text)
RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    transfer uuid := uuidv7();
    entry uuid := uuidv7();
    tx bigint := pg_current_xact_id()::text::bigint;
    today date := (now() AT TIME ZONE 'Asia/Shanghai')::date;
    paid record;
    target uuid;
    thread uuid;
    transit uuid;
BEGIN
    SELECT a.id INTO target FROM wallet_account a JOIN wallet_asset s ON s.id = a.asset_id
        WHERE a.owner_id = payee AND a.kind = 'wallet' AND s.code = currency AND a.scope = '' AND a.slot = 0;
    SELECT t.id INTO thread FROM payments_thread t WHERE t.low_id = least(payer, payee) AND t.high_id = greatest(payer, payee);
    SELECT a.id INTO transit FROM wallet_account a JOIN wallet_asset s ON s.id = a.asset_id
        WHERE a.owner_id IS NULL AND a.kind = 'in_transit' AND s.code = currency AND a.scope = '' AND a.slot = 0;
    UPDATE wallet_paymentpin p
        SET small_day = today, small_spent = CASE p.small_day WHEN today THEN p.small_spent ELSE 0 END + benchmark_send.amount
        WHERE p.user_id = payer;
    UPDATE wallet_account a
        SET balance = a.balance - benchmark_send.amount, last_sequence = a.last_sequence + 1,
            last_recorded_at = greatest(clock_timestamp(), a.last_recorded_at)
        FROM wallet_asset s
        WHERE s.id = a.asset_id AND s.code = currency AND a.owner_id = payer AND a.kind = 'wallet' AND a.scope = ''
          AND a.slot = 0 AND NOT a.closed AND a.balance - a.held + a.credit_limit >= benchmark_send.amount
        RETURNING a.id, a.asset_id, a.balance, a.last_sequence, a.last_recorded_at AS at INTO paid;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'insufficient funds';
    END IF;
    INSERT INTO superapp_idempotencykey (user_id, operation, key, fingerprint, refusal, answer)
        VALUES (payer, 'sendMoney', key, sha256(convert_to(key, 'UTF8')), '',
                jsonb_build_object('transfer', transfer, 'source', paid.id, 'fee', '0.00', 'arrival', arrival));
    INSERT INTO wallet_journalentry (id, kind, subject, effective_at, recorded_at, tx)
        VALUES (entry, 'transfer_sent', transfer, paid.at, paid.at, tx);
    INSERT INTO wallet_posting (account_id, sequence, entry_id, asset_id, amount, balance_after, subject, effective_at,
                                recorded_at, tx)
        VALUES (paid.id, paid.last_sequence, entry, paid.asset_id, -amount, paid.balance, transfer, paid.at, paid.at, tx),
               (transit, nextval('wallet_folded_sequence'), entry, paid.asset_id, amount, NULL, transfer, paid.at, paid.at, tx);
    INSERT INTO wallet_usage AS u (account_id, usage_class, day, amount, count) VALUES (paid.id, 'transfer', today, amount, 1)
        ON CONFLICT (account_id, usage_class, day)
        DO UPDATE SET amount = u.amount + excluded.amount, count = u.count + excluded.count;
    INSERT INTO payments_transfer (id, thread_id, sender_id, recipient_id, sender_account_id, recipient_account_id, amount,
                                   currency, note, state, return_reason, authorised_at, due_at, sent_entry_id)
        VALUES (transfer, thread, payer, payee, paid.id, target, amount, currency, note, 'authorised', '', paid.at, paid.at,
                entry);
    RETURN transfer;
END $$
