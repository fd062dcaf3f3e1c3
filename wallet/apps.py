from django.apps import AppConfig
from django.conf import settings


class WalletConfig(AppConfig):
    """Accounts and the ledger; money in and out of the system."""

    name = "wallet"
    verbose_name = "Wallet"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Fills the flow table, the ledger's checks and the policies; connects the rails and the bank's messages."""
        from wallet import (  # noqa: F401
            bank_callbacks,
            flows,
            ledger_checks,
            metrics,
            pins,
            rails,
            seal_checks,
            tally_checks,
            top_up_verification,
        )
        from wallet.rails.sandbox import NAME, SandboxRail

        if settings.SUPERAPP_SANDBOX:
            rails.offers(NAME, SandboxRail)
