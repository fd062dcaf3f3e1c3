from django.db import migrations

from superapp.sql_files import run_sql_files


class Migration(migrations.Migration):
    """An account stays frozen until its case says who lifted it and why. Triggers are added: writers wait for a moment."""

    dependencies = [("wallet", "0013_reversals_are_approved")]

    operations = [
        run_sql_files(folder="wallet/sql", forward="freeze_lifting.sql", reverse="freeze_lifting_reverse.sql"),
    ]
