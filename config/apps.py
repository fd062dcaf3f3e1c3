from django.apps import AppConfig


class HouseConfig(AppConfig):
    """The composition root: what puts the apps together and runs them."""

    name = "config"
    verbose_name = "House"
