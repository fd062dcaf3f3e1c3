from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """A hold knows when it ended, and its term ends it. The rows there are get checked by the migration that follows."""

    dependencies = [("wallet", "0004_account_freezes")]

    operations = [
        migrations.AddField(
            "hold",
            "ended_at",
            models.DateTimeField(blank=True, help_text="Of an ended hold; not kept for the oldest ones.", null=True),
        ),
        migrations.AlterField(
            "hold",
            "lapses_at",
            models.DateTimeField(blank=True, help_text="From then on nothing can be captured.", null=True),
        ),
        AddConstraintNotValid(
            model_name="hold",
            constraint=models.CheckConstraint(
                condition=~Q(state="open") | Q(remaining__gt=0, ended_at__isnull=True),
                name="an_open_hold_holds_something",
            ),
        ),
        AddConstraintNotValid(
            model_name="hold",
            constraint=models.CheckConstraint(
                condition=Q(lapsed=0) | Q(state="lapsed", lapses_at__isnull=False),
                name="only_a_hold_with_a_term_lapses",
            ),
        ),
    ]
