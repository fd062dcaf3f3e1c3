from django.apps import AppConfig


class WalletConfig(AppConfig):
    """Accounts and the ledger; money in and out of the system."""

    name = "wallet"
    verbose_name = "Wallet"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Fills the flow table and the ledger's checks."""
        from wallet import flows, verification  # noqa: F401
