-- What the site's role may do with each table that no product owns, and no more.
REVOKE ALL ON superapp_user, superapp_user_groups, superapp_user_user_permissions, superapp_installation,
    superapp_calendarday, superapp_policyversion, superapp_idempotencykey, superapp_outboxevent, superapp_run,
    superapp_runbatch, django_migrations, django_content_type, auth_permission, auth_group, auth_group_permissions,
    django_admin_log, django_session, account_emailaddress, account_emailconfirmation, mfa_authenticator,
    usersessions_usersession FROM superapp_site;

-- The owner's business: made by migrations.
GRANT SELECT ON django_migrations, django_content_type, auth_permission TO superapp_site;

-- What this database is was settled at its birth; a sandbox's clock travels.
GRANT SELECT, UPDATE (clock_offset) ON superapp_installation TO superapp_site;

-- Written once: another version, with its own instant, is how a policy changes.
GRANT SELECT, INSERT ON superapp_policyversion TO superapp_site;
GRANT SELECT, INSERT, UPDATE (answer) ON superapp_idempotencykey TO superapp_site;

-- Work that moves on. An event that was delivered is removed in time.
GRANT SELECT, INSERT, UPDATE (state, figures, fault, closed_at) ON superapp_run TO superapp_site;
GRANT SELECT, INSERT, UPDATE (state, attempts, figures, counted_at, posted_at) ON superapp_runbatch TO superapp_site;
GRANT SELECT, INSERT, UPDATE (available_at, attempts, last_error, delivered_at), DELETE ON superapp_outboxevent
    TO superapp_site;

-- People, their access, and exceptions to calendars. Sign-ups that nobody finished are removed, and the log of the back
-- office is looked through for them; what may go is said by triggers.
GRANT SELECT, INSERT, UPDATE, DELETE ON superapp_user, superapp_calendarday, auth_group, django_session,
    account_emailaddress, account_emailconfirmation, mfa_authenticator, usersessions_usersession TO superapp_site;
GRANT SELECT, INSERT, DELETE ON superapp_user_groups, superapp_user_user_permissions, auth_group_permissions, django_admin_log
    TO superapp_site;

CREATE FUNCTION superapp_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: its rows are written once.', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER policy_version_is_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON superapp_policyversion
    FOR EACH STATEMENT EXECUTE FUNCTION superapp_refuse_change();
CREATE TRIGGER operators_log_is_kept BEFORE UPDATE OR DELETE ON django_admin_log
    FOR EACH ROW EXECUTE FUNCTION superapp_refuse_change();

-- In production, where no clock travels, no version begins before it is planned, but for what the clocks of two machines differ.
CREATE FUNCTION superapp_check_policy_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.effective_from < now() - interval '1 minute'
       AND EXISTS (SELECT FROM superapp_installation WHERE mode = 'production') THEN
        RAISE EXCEPTION 'A version of % cannot begin at %, which has passed: history is never rewritten.',
            NEW.policy, NEW.effective_from USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER policy_begins_when_planned_or_later BEFORE INSERT ON superapp_policyversion
    FOR EACH ROW EXECUTE FUNCTION superapp_check_policy_version();

-- Whoever has entered a code or signed in once is kept: the history of their money, and of what operators did, names them.
CREATE FUNCTION superapp_check_gone_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'Person % has entered a code or signed in, and is kept.', OLD.id USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER person_is_kept BEFORE DELETE ON superapp_user FOR EACH ROW
    WHEN (OLD.phone IS NOT NULL OR OLD.last_login IS NOT NULL OR OLD.is_staff)
    EXECUTE FUNCTION superapp_check_gone_person();
