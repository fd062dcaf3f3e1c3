-- Capacity and usage are counted up and down in place, never deleted: half a page free keeps the updates on it (HOT).
ALTER TABLE wallet_capacity SET (fillfactor = 50);
ALTER TABLE wallet_usage SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

REVOKE DELETE, TRUNCATE ON wallet_capacity, wallet_usage FROM superapp_site;
