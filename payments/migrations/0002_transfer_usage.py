from django.conf import settings
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

COUNT_SQL = """
    INSERT INTO wallet_usage (account_id, usage_class, day, amount, count)
    SELECT t.sender_account_id, 'transfer', (e.recorded_at AT TIME ZONE %s)::date AS day,
           coalesce(sum(t.amount) FILTER (WHERE t.state <> 'returned'), 0), count(*) FILTER (WHERE t.state <> 'returned')
    FROM payments_transfer t JOIN wallet_journalentry e ON e.id = t.sent_entry_id
    GROUP BY t.sender_account_id, day
"""


def count(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:  # noqa: ARG001 - Django's form
    """Sums what was sent before usage was kept, in the business zone, less what came back."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(COUNT_SQL, [settings.TIME_ZONE])


def forget(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:  # noqa: ARG001 - Django's form
    """Empties what `count` filled, so that it may be run again."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("DELETE FROM wallet_usage WHERE usage_class = 'transfer'")


class Migration(migrations.Migration):
    """A transfer that is on its way while usage comes in finds the day it may have to be given back to."""

    dependencies = [("payments", "0001_initial"), ("wallet", "0007_capacity_and_usage")]

    operations = [migrations.RunPython(count, forget)]
