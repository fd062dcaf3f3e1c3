from django.db import migrations

from superapp.sql_files import run_sql_files


class Migration(migrations.Migration):
    """Triggers, grants, storage and the sequence of the ledger, from SQL files of their own."""

    dependencies = [("wallet", "0001_initial")]

    operations = [
        run_sql_files(folder="wallet/sql", forward="ledger_rules.sql", reverse="ledger_rules_reverse.sql"),
    ]
