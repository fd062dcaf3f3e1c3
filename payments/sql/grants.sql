-- What the site's role may do with each table: a transfer moves on, and stays what it was, but for its note, which stands
-- beside the ledger and can be erased; nothing is deleted.
REVOKE ALL ON payments_thread, payments_transfer FROM superapp_site;
GRANT SELECT, INSERT ON payments_thread TO superapp_site;
GRANT SELECT, INSERT, UPDATE (state, return_reason, due_at, ended_at, note, settled_entry_id, returned_entry_id)
    ON payments_transfer TO superapp_site;
