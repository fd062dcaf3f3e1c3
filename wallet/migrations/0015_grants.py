from django.db import migrations

from superapp.sql_files import run_sql_files


class Migration(migrations.Migration):
    """The site's role may change the columns that move on, and delete nothing but old verifications. No table is locked."""

    dependencies = [("wallet", "0014_freezes_are_lifted")]

    operations = [run_sql_files(folder="wallet/sql", forward="grants.sql", reverse="grants_reverse.sql")]
