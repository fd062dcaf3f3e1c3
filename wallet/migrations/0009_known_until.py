from django.db import migrations, models


class Migration(migrations.Migration):
    """Until when everything that was recorded is known; moved along by the fold."""

    dependencies = [("wallet", "0008_reversal_requests")]

    operations = [
        migrations.AddField(
            "foldcheckpoint",
            "known_until",
            models.DateTimeField(
                blank=True, help_text="Whatever was recorded up to here is committed, or never will be.", null=True
            ),
        ),
        migrations.AddField(
            "foldcheckpoint",
            "awaited_tx",
            models.BigIntegerField(
                blank=True,
                help_text="Once every transaction below has ended, all is known until `awaited_at`.",
                null=True,
            ),
        ),
        migrations.AddField("foldcheckpoint", "awaited_at", models.DateTimeField(blank=True, null=True)),
    ]
