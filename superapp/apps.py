from typing import Any

from celery.signals import task_prerun
from django.apps import AppConfig
from django.core.signals import request_started
from django.db.backends.signals import connection_created


class SuperappConfig(AppConfig):
    """What every app shares and no product owns."""

    name = "superapp"
    verbose_name = "Superapp"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Registers the system checks; a request and a task each begin a unit of work; no foreign database is served."""
        from superapp import checks, housekeeping, installation, kernel_metrics  # noqa: F401  they register what they hold

        connection_created.connect(installation.look_at_first_connection, dispatch_uid="superapp.installation")
        request_started.connect(_begin_unit_of_work, dispatch_uid="superapp.unit_of_work")
        task_prerun.connect(_begin_unit_of_work, dispatch_uid="superapp.unit_of_work")


def _begin_unit_of_work(**_signal: Any) -> None:
    from superapp import clock

    clock.forget()
