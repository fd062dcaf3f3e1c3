REVOKE ALL ON payments_thread, payments_transfer FROM superapp_site;
GRANT SELECT, INSERT, UPDATE, DELETE ON payments_thread, payments_transfer TO superapp_site;
