DROP TRIGGER person_is_kept ON superapp_user;
DROP FUNCTION superapp_check_gone_person();
DROP TRIGGER policy_begins_when_planned_or_later ON superapp_policyversion;
DROP FUNCTION superapp_check_policy_version();
DROP TRIGGER operators_log_is_kept ON django_admin_log;
DROP TRIGGER policy_version_is_kept ON superapp_policyversion;
DROP FUNCTION superapp_refuse_change();
REVOKE ALL ON superapp_user, superapp_user_groups, superapp_user_user_permissions, superapp_installation,
    superapp_calendarday, superapp_policyversion, superapp_idempotencykey, superapp_outboxevent, superapp_run,
    superapp_runbatch, django_migrations, django_content_type, auth_permission, auth_group, auth_group_permissions,
    django_admin_log, django_session, account_emailaddress, account_emailconfirmation, mfa_authenticator,
    usersessions_usersession FROM superapp_site;
GRANT SELECT, INSERT, UPDATE, DELETE ON superapp_user, superapp_user_groups, superapp_user_user_permissions,
    superapp_installation, superapp_calendarday, superapp_policyversion, superapp_idempotencykey, superapp_outboxevent,
    superapp_run, superapp_runbatch, django_migrations, django_content_type, auth_permission, auth_group,
    auth_group_permissions, django_admin_log, django_session, account_emailaddress, account_emailconfirmation,
    mfa_authenticator, usersessions_usersession TO superapp_site;
