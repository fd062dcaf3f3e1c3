from django.apps import AppConfig


class FundsConfig(AppConfig):
    """Money-market funds."""

    name = "funds"
    verbose_name = "Funds"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Enters the flows, checks, stories and pending amounts of funds into the registers of the wallet."""
        from funds import flows, holdings, metrics, stories, verification  # noqa: F401
