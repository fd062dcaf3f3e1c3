from django.db import migrations

from superapp.sql_files import run_sql_files


class Migration(migrations.Migration):
    """A seal that covers what has not been posted yet is refused. A function is replaced: no table is locked."""

    dependencies = [("wallet", "0011_seals")]

    operations = [
        run_sql_files(folder="wallet/sql", forward="seal_horizon.sql", reverse="seal_horizon_reverse.sql"),
    ]
