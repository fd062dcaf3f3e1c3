DROP TRIGGER freeze_is_kept ON wallet_accountfreeze;
