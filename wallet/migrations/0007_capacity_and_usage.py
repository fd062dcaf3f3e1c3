from django.db import migrations, models
from django.db.models import F, Q

from superapp.sql_files import run_sql_files


class Migration(migrations.Migration):
    """What is counted beside the postings: the capacity that many share, and what each account has used in a day."""

    dependencies = [("wallet", "0006_hold_terms_checked")]

    operations = [
        migrations.CreateModel(
            name="Capacity",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(help_text="A declared kind of capacity.", max_length=32)),
                (
                    "scope",
                    models.CharField(
                        blank=True, default="", help_text="Whose it is: a fund's code, a bank's.", max_length=64
                    ),
                ),
                (
                    "day",
                    models.DateField(blank=True, help_text="The business day it is for; none: for good.", null=True),
                ),
                ("slot", models.PositiveSmallIntegerField()),
                (
                    "total",
                    models.DecimalField(
                        decimal_places=4, help_text="What the policy allows over all slots.", max_digits=24
                    ),
                ),
                (
                    "ceiling",
                    models.DecimalField(decimal_places=4, help_text="This slot's part of it.", max_digits=24),
                ),
                ("used", models.DecimalField(decimal_places=4, default=0, max_digits=24)),
                (
                    "ruled_at",
                    models.DateTimeField(help_text="The instant as of which the policy was asked for the total."),
                ),
            ],
            options={
                "verbose_name_plural": "capacity",
                "constraints": [
                    models.UniqueConstraint(
                        fields=["kind", "scope", "day", "slot"],
                        name="one_row_a_slot_of_capacity",
                        nulls_distinct=False,
                    ),
                    models.CheckConstraint(
                        condition=Q(used__gte=0, used__lte=F("ceiling")), name="used_stays_under_the_ceiling"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Usage",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "account_id",
                        "usage_class",
                        "day",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "account",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=models.deletion.DO_NOTHING,
                        related_name="usage",
                        to="wallet.account",
                    ),
                ),
                (
                    "usage_class",
                    models.CharField(help_text="What is counted, as the flow table names it.", max_length=24),
                ),
                ("day", models.DateField(help_text="The business day on which it was counted.")),
                (
                    "amount",
                    models.DecimalField(
                        decimal_places=4, help_text="In the account's asset, less what was given back.", max_digits=24
                    ),
                ),
                ("count", models.IntegerField(help_text="How many movements, less those given back.")),
            ],
            options={
                "verbose_name_plural": "usage",
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(amount__gte=0, count__gte=0), name="no_more_is_given_back_than_was_used"
                    )
                ],
            },
        ),
        run_sql_files(folder="wallet/sql", forward="counting.sql", reverse="counting_reverse.sql"),
    ]
