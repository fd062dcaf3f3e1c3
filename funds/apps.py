from django.apps import AppConfig


class FundsConfig(AppConfig):
    """Money-market funds."""

    name = "funds"
    verbose_name = "Funds"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Enters the funds' flows and checks into the ledger's registers."""
        from funds import flows, verification  # noqa: F401
