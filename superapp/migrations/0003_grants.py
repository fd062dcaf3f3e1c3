from django.db import migrations

from superapp.sql_files import run_sql_files


class Migration(migrations.Migration):
    """The site's role may do what the code does with these tables, and no more; policy and the operators' log are written once.

    Triggers are added: writers of three small tables wait for a moment.
    """

    dependencies = [
        ("superapp", "0002_outbox_request"),
        ("account", "0009_emailaddress_unique_primary_email"),
        ("admin", "0003_logentry_add_action_flag_choices"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("mfa", "0003_authenticator_type_uniq"),
        ("sessions", "0001_initial"),
        ("usersessions", "0001_initial"),
    ]

    operations = [run_sql_files(folder="superapp/sql", forward="grants.sql", reverse="grants_reverse.sql")]
