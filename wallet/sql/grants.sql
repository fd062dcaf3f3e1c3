-- What the site's role may do with each table, and no more: which columns change after a row is written is said here.
REVOKE ALL ON wallet_asset, wallet_account, wallet_journalentry, wallet_posting, wallet_foldcheckpoint, wallet_hold,
    wallet_usage, wallet_capacity, wallet_reversalrequest, wallet_accountfreeze, wallet_seal, wallet_verificationrun,
    wallet_paymentpin, wallet_topup, wallet_bankcallback, wallet_sandboxbankorder FROM superapp_site;

-- Written once.
GRANT SELECT, INSERT ON wallet_posting, wallet_journalentry TO superapp_site;
GRANT SELECT, INSERT ON wallet_asset, wallet_seal, wallet_sandboxbankorder TO superapp_site;

-- Moved on by the ledger and what watches over it.
GRANT SELECT, INSERT, UPDATE (balance, held, credit_limit, last_sequence, last_recorded_at, closed, frozen)
    ON wallet_account TO superapp_site;
GRANT SELECT, UPDATE (tx, folded_at, known_until, awaited_tx, awaited_at) ON wallet_foldcheckpoint TO superapp_site;
GRANT SELECT, INSERT, UPDATE (state, captured, released, lapsed, remaining, ended_at) ON wallet_hold TO superapp_site;
GRANT SELECT, INSERT, UPDATE (amount, count) ON wallet_usage TO superapp_site;
GRANT SELECT, INSERT, UPDATE (total, ceiling, used, ruled_at) ON wallet_capacity TO superapp_site;
GRANT SELECT, INSERT, UPDATE (state, decided_by_id, decided_at, reversal_id) ON wallet_reversalrequest TO superapp_site;
GRANT SELECT, INSERT, UPDATE (lifted_at, lifted_by_id, lift_reason) ON wallet_accountfreeze TO superapp_site;

-- The oldest runs go; which may is said by a trigger.
GRANT SELECT, INSERT, DELETE ON wallet_verificationrun TO superapp_site;

-- Moved on by a person, or by their bank.
GRANT SELECT, INSERT,
    UPDATE (hash, tries, locked_until, changed_at, small_amount, small_currency, small_day, small_spent)
    ON wallet_paymentpin TO superapp_site;
GRANT SELECT, INSERT, UPDATE (state, failure, entry_id, instructed_at, inquired_at, ended_at) ON wallet_topup TO superapp_site;
GRANT SELECT, INSERT, UPDATE (outcome, top_up_id) ON wallet_bankcallback TO superapp_site;

-- The last clean run is the mark from which the next one goes on, and what was found of late is not made to disappear.
CREATE FUNCTION wallet_check_gone_verification() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) < 2000 FROM (SELECT FROM wallet_verificationrun WHERE id > OLD.id LIMIT 2000) newer)
       OR OLD.breaks = 0 AND NOT EXISTS (
           SELECT FROM wallet_verificationrun
           WHERE breaks = 0 AND (started_at, id) > (OLD.started_at, OLD.id)
       ) THEN
        RAISE EXCEPTION 'Verification % is among the last 2000, or the last clean one: it is kept.', OLD.id
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN OLD;
END $$;

CREATE TRIGGER late_verifications_are_kept BEFORE DELETE ON wallet_verificationrun
    FOR EACH ROW EXECUTE FUNCTION wallet_check_gone_verification();
