from django.db import migrations

from superapp.sql_files import run_sql_files


class Migration(migrations.Migration):
    """The site's role may move funds, days and orders on, and delete nothing. No table is locked."""

    dependencies = [("funds", "0002_collected_shortfalls")]

    operations = [run_sql_files(folder="funds/sql", forward="grants.sql", reverse="grants_reverse.sql")]
