"""What the site's role may do with each table of the database. A new table is written down here, or this fails.

A letter each: S select, I insert, U update of any column, D delete; columns in brackets are the only ones that may be updated.
What may not be done here is refused to every process of the site, the back office and a shell included.
"""

import pytest
from django.db import connection

GRANTS = {
    # wallet: the ledger is added to; what is counted and held beside it moves on
    "wallet_asset": "SI",
    "wallet_account": "SI (balance, closed, credit_limit, frozen, held, last_recorded_at, last_sequence)",
    "wallet_journalentry": "SI",
    "wallet_posting": "SI",
    "wallet_foldcheckpoint": "S (awaited_at, awaited_tx, folded_at, known_until, tx)",
    "wallet_hold": "SI (captured, ended_at, lapsed, released, remaining, state)",
    "wallet_usage": "SI (amount, count)",
    "wallet_capacity": "SI (ceiling, ruled_at, total, used)",
    "wallet_reversalrequest": "SI (decided_at, decided_by_id, reversal_id, state)",
    "wallet_accountfreeze": "SI (lift_reason, lifted_at, lifted_by_id)",
    "wallet_seal": "SI",
    "wallet_verificationrun": "SID",
    "wallet_paymentpin": (
        "SI (changed_at, hash, locked_until, small_amount, small_currency, small_day, small_spent, tries)"
    ),
    "wallet_topup": "SI (ended_at, entry_id, failure, inquired_at, instructed_at, state)",
    "wallet_bankcallback": "SI (outcome, top_up_id)",
    "wallet_sandboxbankorder": "SI",
    # payments
    "payments_thread": "SI",
    "payments_transfer": "SI (due_at, ended_at, note, return_reason, returned_entry_id, settled_entry_id, state)",
    # funds
    "funds_fund": "SI (frozen_through, state)",
    "funds_fundterms": "SI",
    "funds_termsacceptance": "SI",
    "funds_yield": "SI",
    "funds_fundday": "SI (closed_by_id, frozen_at, horizon, per_10k)",
    "funds_managersettlement": "SI",
    "funds_fundorder": "SI (amount, effective_entry_id, ended_entry_id, rests_until, settlement_id, state)",
    "funds_incomeshortfall": "SI (collected)",
    "funds_shortfallcollection": "SI",
    # superapp
    "superapp_user": "SIUD",
    "superapp_user_groups": "SID",
    "superapp_user_user_permissions": "SID",
    "superapp_installation": "S (clock_offset)",
    "superapp_calendarday": "SIUD",
    "superapp_policyversion": "SI",
    "superapp_idempotencykey": "SI (answer)",
    "superapp_outboxevent": "SID (attempts, available_at, delivered_at, last_error)",
    "superapp_run": "SI (closed_at, fault, figures, state)",
    "superapp_runbatch": "SI (attempts, counted_at, figures, posted_at, state)",
    # Django and django-allauth
    "django_migrations": "S",
    "django_content_type": "S",
    "django_admin_log": "SID",
    "django_session": "SIUD",
    "auth_permission": "S",
    "auth_group": "SIUD",
    "auth_group_permissions": "SID",
    "account_emailaddress": "SIUD",
    "account_emailconfirmation": "SIUD",
    "mfa_authenticator": "SIUD",
    "usersessions_usersession": "SIUD",
}

GRANTED_SQL = """
    SELECT c.relname,
           (SELECT coalesce(string_agg(p.letter, '' ORDER BY p.place), '')
            FROM (VALUES (1, 'S', 'SELECT'), (2, 'I', 'INSERT'), (3, 'U', 'UPDATE'), (4, 'D', 'DELETE'), (5, 'T', 'TRUNCATE'),
                         (6, 'R', 'REFERENCES'), (7, 'G', 'TRIGGER'), (8, 'M', 'MAINTAIN')) AS p (place, letter, name)
            WHERE has_table_privilege('superapp_site', c.oid, p.name)),
           (SELECT string_agg(a.attname, ', ' ORDER BY a.attname) FROM pg_attribute a
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
              AND has_column_privilege('superapp_site', c.oid, a.attnum, 'UPDATE')
              AND NOT has_table_privilege('superapp_site', c.oid, 'UPDATE'))
    FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
"""


@pytest.mark.django_db
def test_the_site_may_do_with_each_table_what_is_written_here_and_no_more() -> None:
    with connection.cursor() as cursor:
        cursor.execute(GRANTED_SQL)
        granted = {
            table: f"{letters} ({columns})" if columns else letters for table, letters, columns in cursor.fetchall()
        }

    assert granted == GRANTS


@pytest.mark.django_db
def test_a_new_table_can_be_read_and_added_to_until_its_migration_grants_more() -> None:
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE")
        cursor.execute("CREATE TABLE newcomer (id int)")
        cursor.execute(f"SELECT * FROM ({GRANTED_SQL}) g WHERE g.relname = 'newcomer'")
        assert cursor.fetchone() == ("newcomer", "SI", None)
