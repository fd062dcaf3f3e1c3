DROP TRIGGER late_verifications_are_kept ON wallet_verificationrun;
DROP FUNCTION wallet_check_gone_verification();
REVOKE ALL ON wallet_asset, wallet_account, wallet_journalentry, wallet_posting, wallet_foldcheckpoint, wallet_hold,
    wallet_usage, wallet_capacity, wallet_reversalrequest, wallet_accountfreeze, wallet_seal, wallet_verificationrun,
    wallet_paymentpin, wallet_topup, wallet_bankcallback, wallet_sandboxbankorder FROM superapp_site;
GRANT SELECT, INSERT ON wallet_posting, wallet_journalentry, wallet_seal TO superapp_site;
GRANT SELECT, INSERT, DELETE ON wallet_verificationrun TO superapp_site;
GRANT SELECT, INSERT, UPDATE ON wallet_asset, wallet_account, wallet_foldcheckpoint, wallet_hold, wallet_usage,
    wallet_capacity, wallet_reversalrequest, wallet_accountfreeze TO superapp_site;
GRANT SELECT, INSERT, UPDATE, DELETE ON wallet_paymentpin, wallet_topup, wallet_bankcallback, wallet_sandboxbankorder
    TO superapp_site;
