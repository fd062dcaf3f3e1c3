DROP TRIGGER postings_are_in_balance ON wallet_posting;
DROP TRIGGER entry_is_of_this_transaction ON wallet_journalentry;
DROP TRIGGER asset_is_kept ON wallet_asset;
DROP TRIGGER account_is_kept ON wallet_account;
DROP TRIGGER entry_is_append_only ON wallet_journalentry;
DROP TRIGGER posting_is_append_only ON wallet_posting;
DROP FUNCTION wallet_check_new_postings();
DROP FUNCTION wallet_check_new_entries();
DROP FUNCTION wallet_refuse_change();
DELETE FROM wallet_foldcheckpoint;
DROP INDEX account_folded;
ALTER TABLE wallet_account RESET (fillfactor, autovacuum_vacuum_scale_factor);
DROP SEQUENCE wallet_folded_sequence;
GRANT SELECT, INSERT, UPDATE, DELETE
    ON wallet_posting, wallet_journalentry, wallet_account, wallet_asset, wallet_hold, wallet_foldcheckpoint TO superapp_site;
