from django.apps import AppConfig


class SuperappConfig(AppConfig):
    """What every app shares and no product owns."""

    name = "superapp"
    verbose_name = "Superapp"
    default_auto_field = "django.db.models.BigAutoField"
