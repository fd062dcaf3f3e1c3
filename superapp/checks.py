"""System checks: production has what it needs and nothing of a sandbox; the database was born in the site's mode."""

import os
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

from superapp import installation

NAMED_IN_PRODUCTION = ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "ALLOWED_HOSTS")
"""A sandbox brings its own engines and answers on this machine only; production names its servers and hosts."""

SHORTEST_KEY = 32
"""Characters of a server-side key, at the least."""


@register(Tags.security)
def production_has_what_it_needs(
    **_options: Any,
) -> list[CheckMessage]:
    """Real servers, real hosts, strong and distinct keys, no debugging."""
    if settings.SUPERAPP_SANDBOX:
        return []
    found: list[CheckMessage] = [
        Error(f"{name} must be set when SUPERAPP_MODE=production.", id="superapp.E001")
        for name in NAMED_IN_PRODUCTION
        if not os.environ.get(name)
    ]
    if settings.DEBUG:
        found.append(Error("DEBUG must be off when SUPERAPP_MODE=production.", id="superapp.E002"))
    found += [
        Error(f"{name} must have at least {SHORTEST_KEY} characters.", id="superapp.E003")
        for name in ("SECRET_KEY", "PAYMENT_PIN_KEY")
        if len(getattr(settings, name)) < SHORTEST_KEY
    ]
    if settings.SECRET_KEY == settings.PAYMENT_PIN_KEY:
        found.append(Error("PAYMENT_PIN_KEY must be a key of its own, not SECRET_KEY.", id="superapp.E004"))
    if "*" in settings.ALLOWED_HOSTS:
        found.append(Error("ALLOWED_HOSTS must name the hosts, not '*'.", id="superapp.E005"))
    if settings.METRICS_TOKEN and not settings.METRICS_DIR:
        found.append(
            Error("METRICS_DIR must be set with METRICS_TOKEN: counters would be one process's.", id="superapp.E007")
        )
    return found


@register(Tags.database)
def database_was_born_in_this_mode(*, databases: Sequence[str] | None = None, **_options: Any) -> list[CheckMessage]:
    """A sandbox's database never serves production, nor the other way round."""
    if not databases or "default" not in databases:
        return []
    try:
        installation.refuse_foreign_database()
    except installation.ForeignDatabase as foreign:
        return [Error(str(foreign), id="superapp.E006")]
    return []
