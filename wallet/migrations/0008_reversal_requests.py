import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Q

import superapp.ids
from superapp.sql_files import run_sql_files


class Migration(migrations.Migration):
    """Taking an entry back needs two people: the table refuses an approval by who asked for it."""

    dependencies = [
        ("wallet", "0007_capacity_and_usage"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ReversalRequest",
            fields=[
                ("id", models.UUIDField(default=superapp.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                (
                    "entry",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reversal_requests",
                        to="wallet.journalentry",
                    ),
                ),
                ("reason", models.CharField(help_text="Why the entry is wrong.", max_length=500)),
                (
                    "state",
                    models.CharField(
                        choices=[("requested", "Requested"), ("approved", "Approved"), ("declined", "Declined")],
                        default="requested",
                        max_length=10,
                    ),
                ),
                (
                    "requested_by",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("requested_at", models.DateTimeField()),
                (
                    "decided_by",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                (
                    "reversal_id",
                    models.UUIDField(blank=True, help_text="The journal entry that took it back.", null=True),
                ),
            ],
            options={
                "permissions": [("approve_reversal", "Can approve or decline another person's reversal request")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=["entry"],
                        condition=Q(state__in=["requested", "approved"]),
                        name="one_standing_reversal_request_an_entry",
                    ),
                    models.CheckConstraint(
                        condition=~Q(state="approved") | ~Q(decided_by=F("requested_by")),
                        name="another_person_approves",
                    ),
                    models.CheckConstraint(condition=~Q(reason=""), name="a_reversal_request_says_why"),
                    models.CheckConstraint(
                        condition=Q(
                            state="requested",
                            decided_by__isnull=True,
                            decided_at__isnull=True,
                            reversal_id__isnull=True,
                        )
                        | Q(
                            state="approved",
                            decided_by__isnull=False,
                            decided_at__isnull=False,
                            reversal_id__isnull=False,
                        )
                        | Q(
                            state="declined",
                            decided_by__isnull=False,
                            decided_at__isnull=False,
                            reversal_id__isnull=True,
                        ),
                        name="a_decided_reversal_request_says_by_whom",
                    ),
                ],
            },
        ),
        run_sql_files(folder="wallet/sql", forward="reversal_requests.sql", reverse="reversal_requests_reverse.sql"),
    ]
