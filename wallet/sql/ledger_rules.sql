-- What the database itself refuses, whoever asks: the ledger's rows are written once, in balance, and never changed.

-- Sequence numbers of folded accounts: unique, not ordered, so each session may draw a handful ahead.
CREATE SEQUENCE wallet_folded_sequence AS bigint CACHE 128;

-- Every posting rewrites its inline account's row. Half a page free keeps those updates in place (HOT): no index on the
-- table holds a column that a posting changes.
ALTER TABLE wallet_account SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

CREATE INDEX account_folded ON wallet_account (id) WHERE folded;

CREATE FUNCTION wallet_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: the ledger is append-only; a mistake is mended by a reversing entry.',
        TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER posting_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON wallet_posting
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_refuse_change();
CREATE TRIGGER entry_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON wallet_journalentry
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_refuse_change();
CREATE TRIGGER account_is_kept BEFORE DELETE OR TRUNCATE ON wallet_account
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_refuse_change();
CREATE TRIGGER asset_is_kept BEFORE DELETE OR TRUNCATE ON wallet_asset
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_refuse_change();

-- An entry belongs to the transaction that writes it: what is ordered by tx cannot be back-dated.
CREATE FUNCTION wallet_check_new_entries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM written WHERE tx <> pg_current_xact_id()::text::bigint) THEN
        RAISE EXCEPTION 'A journal entry must carry the transaction that writes it.' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER entry_is_of_this_transaction AFTER INSERT ON wallet_journalentry
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION wallet_check_new_entries();

-- An entry's postings are one INSERT, into an entry of the same transaction, with its times, summing to zero per asset.
-- Each entry is looked up by its key, whatever the planner knows: the plan is kept, and one made while the table was empty
-- would read all of it for every payment.
CREATE FUNCTION wallet_check_new_postings() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    this_tx bigint := pg_current_xact_id()::text::bigint;
    wrong record;
BEGIN
    SELECT w.entry_id, w.total INTO wrong
        FROM (SELECT entry_id, asset_id, tx, effective_at, recorded_at, sum(amount) AS total
                FROM written GROUP BY entry_id, asset_id, tx, effective_at, recorded_at) w
        WHERE w.total <> 0 OR w.tx <> this_tx
           OR (SELECT e.tx = this_tx AND e.effective_at = w.effective_at AND e.recorded_at = w.recorded_at
                 FROM wallet_journalentry e WHERE e.id = w.entry_id) IS NOT TRUE
        LIMIT 1;
    IF wrong.total <> 0 THEN
        RAISE EXCEPTION 'The postings of entry % do not sum to zero in each asset.', wrong.entry_id
            USING ERRCODE = 'check_violation';
    ELSIF FOUND THEN
        RAISE EXCEPTION 'Entry % is not of this transaction, or its postings do not carry its times.', wrong.entry_id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER postings_are_in_balance AFTER INSERT ON wallet_posting
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION wallet_check_new_postings();

INSERT INTO wallet_foldcheckpoint (id, tx, folded_at) VALUES (1, 0, now());

-- The role the site runs as may read and append, nothing else.
REVOKE UPDATE, DELETE, TRUNCATE ON wallet_posting, wallet_journalentry FROM superapp_site;
REVOKE DELETE, TRUNCATE ON wallet_account, wallet_asset, wallet_hold, wallet_foldcheckpoint FROM superapp_site;
