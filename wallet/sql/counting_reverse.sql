GRANT DELETE ON wallet_capacity, wallet_usage TO superapp_site;
ALTER TABLE wallet_usage RESET (fillfactor, autovacuum_vacuum_scale_factor);
ALTER TABLE wallet_capacity RESET (fillfactor);
