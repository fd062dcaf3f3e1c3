-- A case is lifted, never taken away.
CREATE TRIGGER freeze_is_kept BEFORE DELETE OR TRUNCATE ON wallet_accountfreeze
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_refuse_change();

REVOKE DELETE, TRUNCATE ON wallet_accountfreeze FROM superapp_site;
