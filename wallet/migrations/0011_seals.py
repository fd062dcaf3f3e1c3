from django.db import migrations, models
from django.db.models import F, Q

import superapp.ids
from superapp.sql_files import run_sql_files


class Migration(migrations.Migration):
    """The chain of seals, and what verifications found."""

    dependencies = [("wallet", "0010_indexes_for_sealing")]

    operations = [
        migrations.CreateModel(
            "Seal",
            fields=[
                (
                    "number",
                    models.BigIntegerField(help_text="From 1, without a gap.", primary_key=True, serialize=False),
                ),
                (
                    "form",
                    models.PositiveSmallIntegerField(help_text="How rows are turned into text; see wallet.sealing."),
                ),
                ("from_tx", models.BigIntegerField()),
                ("to_tx", models.BigIntegerField()),
                ("entries", models.IntegerField()),
                ("postings", models.IntegerField()),
                ("rows", models.BinaryField(help_text="Key and digest of each row, 40 bytes a row, in order.")),
                (
                    "previous",
                    models.BinaryField(help_text="The digest of the seal before; of the first: 32 zero bytes."),
                ),
                (
                    "digest",
                    models.BinaryField(help_text="SHA-256 over the one before, the figures here and the rows."),
                ),
                ("sealed_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=Q(from_tx__lt=F("to_tx")), name="a_seal_covers_transactions"),
                ],
            },
        ),
        migrations.CreateModel(
            "VerificationRun",
            fields=[
                ("id", models.UUIDField(default=superapp.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                (
                    "extent",
                    models.CharField(
                        choices=[("full", "Everything"), ("incremental", "What is new since the last clean one")],
                        max_length=12,
                    ),
                ),
                ("started_at", models.DateTimeField()),
                ("seconds", models.FloatField()),
                (
                    "from_tx",
                    models.BigIntegerField(help_text="Postings of earlier transactions were not looked at one by one."),
                ),
                ("to_tx", models.BigIntegerField(help_text="Postings of later transactions were not looked at.")),
                ("to_seal", models.BigIntegerField(help_text="The last seal that was looked at.")),
                ("checks", models.IntegerField()),
                ("breaks", models.IntegerField(help_text="Rows that break a rule.")),
                ("findings", models.JSONField(help_text="The first of them.")),
            ],
            options={
                "verbose_name": "verification",
                "indexes": [models.Index(fields=["-started_at"], condition=Q(breaks=0), name="verification_clean")],
            },
        ),
        run_sql_files(folder="wallet/sql", forward="seal_rules.sql", reverse="seal_rules_reverse.sql"),
    ]
