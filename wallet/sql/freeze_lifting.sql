-- What was found stays as it was found, and a case is lifted once.
CREATE FUNCTION wallet_check_freeze() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.lifted_at IS NOT NULL THEN
            RAISE EXCEPTION 'A case is opened before it is lifted.' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF OLD.lifted_at IS NOT NULL OR (NEW.id, NEW.account_id, NEW.reason, NEW.found_by, NEW.finding, NEW.opened_at)
           IS DISTINCT FROM (OLD.id, OLD.account_id, OLD.reason, OLD.found_by, OLD.finding, OLD.opened_at) THEN
        RAISE EXCEPTION 'Case % is lifted once and otherwise stays as it was opened.', OLD.id
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER freeze_is_lifted_once BEFORE INSERT OR UPDATE ON wallet_accountfreeze
    FOR EACH ROW EXECUTE FUNCTION wallet_check_freeze();

-- An account whose case is open stays frozen: whoever lets it lose money again says so in the case. The trigger names the one
-- column, so that what moves money does not fire it.
CREATE FUNCTION wallet_check_unfrozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- As it stands when the transaction ends: a case may have been opened again in it.
    IF EXISTS (SELECT FROM wallet_accountfreeze f JOIN wallet_account a ON a.id = f.account_id
               WHERE a.id = NEW.id AND NOT a.frozen AND f.lifted_at IS NULL) THEN
        RAISE EXCEPTION 'Account % is frozen while its case is open; lift the case, with a name and a reason.', NEW.id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER frozen_until_its_case_is_lifted AFTER UPDATE OF frozen ON wallet_account
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (OLD.frozen AND NOT NEW.frozen) EXECUTE FUNCTION wallet_check_unfrozen();
