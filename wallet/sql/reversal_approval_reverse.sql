DROP TRIGGER reversal_is_approved ON wallet_journalentry;
DROP FUNCTION wallet_check_reversal();
