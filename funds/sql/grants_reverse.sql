REVOKE ALL ON funds_fund, funds_fundterms, funds_termsacceptance, funds_yield, funds_fundday, funds_managersettlement,
    funds_fundorder, funds_incomeshortfall, funds_shortfallcollection FROM superapp_site;
GRANT SELECT, INSERT, UPDATE, DELETE ON funds_fund, funds_fundterms, funds_termsacceptance, funds_yield, funds_fundday,
    funds_managersettlement, funds_fundorder, funds_incomeshortfall, funds_shortfallcollection TO superapp_site;
