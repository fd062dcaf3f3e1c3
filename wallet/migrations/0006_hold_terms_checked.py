from django.contrib.postgres.operations import AddIndexConcurrently, ValidateConstraint
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """Reads all holds, locking none of them: outside a transaction, beside a site that is at work."""

    atomic = False
    dependencies = [("wallet", "0005_hold_terms")]

    operations = [
        ValidateConstraint(model_name="hold", name="an_open_hold_holds_something"),
        ValidateConstraint(model_name="hold", name="only_a_hold_with_a_term_lapses"),
        AddIndexConcurrently(
            "hold",
            models.Index(
                fields=["lapses_at", "id"], condition=Q(state="open", lapses_at__isnull=False), name="hold_by_term"
            ),
        ),
    ]
