from django.db import migrations

from superapp.sql_files import run_sql_files


class Migration(migrations.Migration):
    """A reversal that no second person approved does not commit. One trigger is added: writers wait for a moment."""

    dependencies = [("wallet", "0012_seal_horizon")]

    operations = [
        run_sql_files(folder="wallet/sql", forward="reversal_approval.sql", reverse="reversal_approval_reverse.sql"),
    ]
