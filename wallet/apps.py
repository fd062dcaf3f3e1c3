from django.apps import AppConfig


class WalletConfig(AppConfig):
    """Accounts, the ledger, money in and out."""

    name = "wallet"
    verbose_name = "Wallet"
    default_auto_field = "django.db.models.BigAutoField"
