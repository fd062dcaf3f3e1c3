from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Due transfers are found lane by lane: workers are spread over recipients and wait for none of each other's."""

    atomic = False

    dependencies = [("payments", "0002_transfer_usage")]

    operations = [
        AddIndexConcurrently(
            model_name="transfer",
            index=models.Index(
                models.Func(
                    models.F("recipient_account"),
                    output_field=models.SmallIntegerField(),
                    template="(get_byte(uuid_send(%(expressions)s), 15) & 15)",
                ),
                "due_at",
                "id",
                condition=models.Q(("state", "authorised")),
                name="transfer_due_in_lane",
            ),
        ),
        RemoveIndexConcurrently(model_name="transfer", name="transfer_due"),
    ]
