from django.apps import AppConfig


class PaymentsConfig(AppConfig):
    """Money between people and to merchants."""

    name = "payments"
    verbose_name = "Payments"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Fills the flow table, the ledger's checks, and what activity tells of transfers."""
        from payments import activity, flows, metrics, policies, verification  # noqa: F401
