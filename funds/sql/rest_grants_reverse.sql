REVOKE UPDATE (rests_until) ON funds_fundorder FROM superapp_site;
