from django.db import migrations, models


class Migration(migrations.Migration):
    """W12. The columns have defaults in the database: a server of the version before may go on adding PINs."""

    dependencies = [("wallet", "0002_ledger_rules")]

    operations = [
        migrations.AddField(
            "paymentpin",
            "small_amount",
            models.DecimalField(
                max_digits=24,
                decimal_places=4,
                default=0,
                db_default=0,
                help_text="Up to this much passes without PIN; 0: nothing.",
            ),
        ),
        migrations.AddField(
            "paymentpin", "small_currency", models.CharField(max_length=3, blank=True, default="", db_default="")
        ),
        migrations.AddField(
            "paymentpin",
            "small_day",
            models.DateField(null=True, blank=True, help_text="The business day that `small_spent` is of."),
        ),
        migrations.AddField(
            "paymentpin",
            "small_spent",
            models.DecimalField(
                max_digits=24,
                decimal_places=4,
                default=0,
                db_default=0,
                help_text="What has left without PIN on that day.",
            ),
        ),
    ]
