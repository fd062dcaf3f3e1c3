-- The chain has one end, and a new seal begins there.
CREATE OR REPLACE FUNCTION wallet_check_new_seal() RETURNS trigger LANGUAGE plpgsql AS $$
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
