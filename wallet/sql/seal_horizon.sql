-- The chain has one end, and a new seal begins there. It ends before every transaction that has not ended: whoever reaches
-- further would leave what is posted next unsealed, and let it look like rows that were added behind a seal.
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
    IF NEW.to_tx > pg_snapshot_xmin(pg_current_snapshot())::text::bigint THEN
        RAISE EXCEPTION 'Seal % covers transactions that have not ended.', NEW.number USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
