from django.contrib.postgres.indexes import BrinIndex
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations


class Migration(migrations.Migration):
    """New entries are found by their transaction. Both indexes learn of new pages by themselves: each minute reads the newest."""

    atomic = False

    dependencies = [("wallet", "0009_known_until")]

    operations = [
        AddIndexConcurrently(
            "journalentry", BrinIndex(fields=["tx"], name="entry_tx_brin", pages_per_range=32, autosummarize=True)
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    "ALTER INDEX posting_time_brin SET (autosummarize = on)",
                    "ALTER INDEX posting_time_brin RESET (autosummarize)",
                )
            ],
            state_operations=[
                migrations.RemoveIndex("posting", "posting_time_brin"),
                migrations.AddIndex(
                    "posting",
                    BrinIndex(
                        fields=["tx", "recorded_at"], name="posting_time_brin", pages_per_range=32, autosummarize=True
                    ),
                ),
            ],
        ),
    ]
