from django.db import migrations, models

from superapp.sql_files import run_sql_files


class Migration(migrations.Migration):
    """An order whose wallet cannot be paid rests for a while. Adds an empty column: no row is written."""

    dependencies = [("funds", "0003_grants")]

    operations = [
        migrations.AddField(
            model_name="fundorder",
            name="rests_until",
            field=models.DateTimeField(
                editable=False, help_text="The wallet could not be paid: it is tried again from then on.", null=True
            ),
        ),
        run_sql_files(folder="funds/sql", forward="rest_grants.sql", reverse="rest_grants_reverse.sql"),
    ]
