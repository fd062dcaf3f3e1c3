import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q

import superapp.ids
from superapp.sql_files import run_sql_files


class Migration(migrations.Migration):
    """Accounts that may lose no money, and their cases. The column's default is the database's own: nothing is rewritten."""

    dependencies = [("wallet", "0003_small_payments"), migrations.swappable_dependency(settings.AUTH_USER_MODEL)]

    operations = [
        migrations.AddField(
            "account",
            "frozen",
            models.BooleanField(
                db_default=False,
                default=False,
                help_text="Money comes in and none goes out, until its case is lifted.",
            ),
        ),
        migrations.CreateModel(
            "AccountFreeze",
            fields=[
                ("id", models.UUIDField(default=superapp.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                (
                    "reason",
                    models.CharField(
                        choices=[
                            ("invariant", "Its rows break a rule of the ledger"),
                            ("seal", "A sealed row of it is not as it was sealed"),
                        ],
                        max_length=10,
                    ),
                ),
                (
                    "found_by",
                    models.CharField(help_text="The check that found it: its number and its rule.", max_length=250),
                ),
                ("finding", models.TextField(help_text="What was found, one line each.")),
                ("opened_at", models.DateTimeField()),
                ("lifted_at", models.DateTimeField(blank=True, null=True)),
                (
                    "lift_reason",
                    models.TextField(blank=True, default="", help_text="Why the account may be used again."),
                ),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="freezes", to="wallet.account"
                    ),
                ),
                (
                    "lifted_by",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "frozen account",
                "constraints": [
                    models.UniqueConstraint(
                        fields=["account"], condition=Q(lifted_at__isnull=True), name="one_open_case_an_account"
                    ),
                    models.CheckConstraint(
                        condition=Q(lifted_at__isnull=True, lifted_by__isnull=True, lift_reason="")
                        | (Q(lifted_at__isnull=False, lifted_by__isnull=False) & ~Q(lift_reason="")),
                        name="a_lifted_freeze_says_who_and_why",
                    ),
                ],
            },
        ),
        run_sql_files(folder="wallet/sql", forward="freeze_rules.sql", reverse="freeze_rules_reverse.sql"),
    ]
