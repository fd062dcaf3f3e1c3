from django.db import migrations

from superapp.sql_files import run_sql_files


class Migration(migrations.Migration):
    """The site's role may move a transfer on, and neither change what it was nor delete it. No table is locked."""

    dependencies = [("payments", "0003_transfer_lanes")]

    operations = [run_sql_files(folder="payments/sql", forward="grants.sql", reverse="grants_reverse.sql")]
