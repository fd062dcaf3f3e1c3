DROP TRIGGER frozen_until_its_case_is_lifted ON wallet_account;
DROP FUNCTION wallet_check_unfrozen();
DROP TRIGGER freeze_is_lifted_once ON wallet_accountfreeze;
DROP FUNCTION wallet_check_freeze();
