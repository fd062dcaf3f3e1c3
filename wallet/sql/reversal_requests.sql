-- What was asked stays as it was asked, a decision is made once, and an approval names the entry that carried it out.
CREATE FUNCTION wallet_check_reversal_request() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'requested' THEN
            RAISE EXCEPTION 'A reversal is requested before it is decided.' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF OLD.state <> 'requested' OR (NEW.id, NEW.entry_id, NEW.reason, NEW.requested_by_id, NEW.requested_at)
           IS DISTINCT FROM (OLD.id, OLD.entry_id, OLD.reason, OLD.requested_by_id, OLD.requested_at) THEN
        RAISE EXCEPTION 'Reversal request % is decided once and otherwise stays as it was asked.', OLD.id
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.state = 'approved' AND NOT EXISTS (
        SELECT FROM wallet_journalentry e
        WHERE e.id = NEW.reversal_id AND e.reverses_id = NEW.entry_id AND e.subject = NEW.id
    ) THEN
        RAISE EXCEPTION 'An approved reversal request names the entry that carries it out.'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER reversal_request_is_kept BEFORE INSERT OR UPDATE ON wallet_reversalrequest
    FOR EACH ROW EXECUTE FUNCTION wallet_check_reversal_request();
CREATE TRIGGER reversal_request_is_not_deleted BEFORE DELETE OR TRUNCATE ON wallet_reversalrequest
    FOR EACH STATEMENT EXECUTE FUNCTION wallet_refuse_change();

REVOKE DELETE, TRUNCATE ON wallet_reversalrequest FROM superapp_site;
