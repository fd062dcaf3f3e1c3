DROP TRIGGER reversal_request_is_not_deleted ON wallet_reversalrequest;
DROP TRIGGER reversal_request_is_kept ON wallet_reversalrequest;
DROP FUNCTION wallet_check_reversal_request();
GRANT DELETE ON wallet_reversalrequest TO superapp_site;
