from django.apps import AppConfig


class PaymentsConfig(AppConfig):
    """Money between people and to merchants."""

    name = "payments"
    verbose_name = "Payments"
    default_auto_field = "django.db.models.BigAutoField"
