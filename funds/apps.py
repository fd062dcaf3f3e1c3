from django.apps import AppConfig


class FundsConfig(AppConfig):
    """Money-market funds."""

    name = "funds"
    verbose_name = "Funds"
    default_auto_field = "django.db.models.BigAutoField"
