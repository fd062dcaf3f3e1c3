-- Digests do not compress, and a block's rows are read whole: keep them out of line as they are.
ALTER TABLE wallet_seal ALTER COLUMN rows SET STORAGE EXTERNAL;

CREATE TRIGGER seal_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON wallet_seal
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_refuse_change();

-- The chain has one end, and a new seal begins there.
CREATE FUNCTION wallet_check_new_seal() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before record;
BEGIN
    SELECT number, to_tx, digest INTO before FROM wallet_seal ORDER BY number DESC LIMIT 1;
    IF NEW.number <> coalesce(before.number, 0) + 1 OR NEW.from_tx <> coalesce(before.to_tx, 0)
       OR NEW.previous <> coalesce(before.digest, decode(repeat('00', 32), 'hex')) THEN
        RAISE EXCEPTION 'Seal % does not follow seal %.', NEW.number, coalesce(before.number, 0)
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER seal_follows_the_last BEFORE INSERT ON wallet_seal
    FOR EACH ROW EXECUTE FUNCTION wallet_check_new_seal();

REVOKE UPDATE, DELETE, TRUNCATE ON wallet_seal FROM superapp_site;
REVOKE UPDATE, TRUNCATE ON wallet_verificationrun FROM superapp_site;
