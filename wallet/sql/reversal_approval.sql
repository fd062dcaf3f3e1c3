-- When a transaction ends, each reversal that it has posted must carry out a request that one person made and another
-- approved, and must be the entry it takes back with every sign turned. Only reversals are looked at: a payment pays nothing.
-- Rows are looked up by their keys, whatever the planner knows.
CREATE FUNCTION wallet_check_reversal() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    IF NEW.kind <> 'reversal' OR NEW.reverses_id IS NULL THEN
        RAISE EXCEPTION 'Entry % is of kind %: a reversal, and nothing else, names the entry it takes back.', NEW.id, NEW.kind
            USING ERRCODE = 'check_violation';
    END IF;
    IF NOT EXISTS (
        SELECT FROM wallet_reversalrequest r
        WHERE r.id = NEW.subject AND r.entry_id = NEW.reverses_id AND r.reversal_id = NEW.id
          AND r.state = 'approved' AND r.decided_by_id <> r.requested_by_id
    ) THEN
        RAISE EXCEPTION 'Entry % takes back entry %, and no request says so that one person made and another approved.',
            NEW.id, NEW.reverses_id USING ERRCODE = 'check_violation';
    END IF;
    IF EXISTS (
        SELECT FROM (
            SELECT account_id, asset_id, amount, 1 AS side FROM wallet_posting WHERE entry_id = NEW.id
            UNION ALL
            SELECT account_id, asset_id, -amount, -1 FROM wallet_posting WHERE entry_id = NEW.reverses_id
        ) p GROUP BY account_id, asset_id, amount HAVING sum(side) <> 0
    ) THEN
        RAISE EXCEPTION 'Entry % is not entry % with every sign turned.', NEW.id, NEW.reverses_id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER reversal_is_approved AFTER INSERT ON wallet_journalentry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.reverses_id IS NOT NULL OR NEW.kind = 'reversal') EXECUTE FUNCTION wallet_check_reversal();
