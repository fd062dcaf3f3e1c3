-- An order whose wallet cannot be paid rests: the site says until when.
GRANT UPDATE (rests_until) ON funds_fundorder TO superapp_site;
