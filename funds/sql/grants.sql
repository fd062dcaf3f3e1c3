-- What the site's role may do with each table: what was published, accepted or paid stays as it was; nothing is deleted.
REVOKE ALL ON funds_fund, funds_fundterms, funds_termsacceptance, funds_yield, funds_fundday, funds_managersettlement,
    funds_fundorder, funds_incomeshortfall, funds_shortfallcollection FROM superapp_site;
GRANT SELECT, INSERT ON funds_fundterms, funds_termsacceptance, funds_yield, funds_managersettlement,
    funds_shortfallcollection TO superapp_site;
GRANT SELECT, INSERT, UPDATE (state, frozen_through) ON funds_fund TO superapp_site;
GRANT SELECT, INSERT, UPDATE (horizon, frozen_at, per_10k, closed_by_id) ON funds_fundday TO superapp_site;
GRANT SELECT, INSERT, UPDATE (state, amount, effective_entry_id, ended_entry_id, settlement_id)
    ON funds_fundorder TO superapp_site;
GRANT SELECT, INSERT, UPDATE (collected) ON funds_incomeshortfall TO superapp_site;
