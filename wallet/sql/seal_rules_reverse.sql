DROP TRIGGER seal_follows_the_last ON wallet_seal;
DROP FUNCTION wallet_check_new_seal();
DROP TRIGGER seal_is_append_only ON wallet_seal;
