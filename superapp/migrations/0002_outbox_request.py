from django.db import migrations, models


class Migration(migrations.Migration):
    """The id of the request that wrote an event, so that its delivery can be found in the log."""

    dependencies = [("superapp", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="outboxevent",
            name="request_id",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="The request that wrote it, as in the log.",
                max_length=64,
            ),
        ),
    ]
