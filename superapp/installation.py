"""What this database is: born for a sandbox or for production, and never the other.

`manage.py migrate` writes the one row. A site in one mode refuses a database of the other, so that no sandbox's clock or
money ever mixes with real ones.
"""

from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, ProgrammingError
from django.db.backends.base.base import BaseDatabaseWrapper

from superapp.models import Installation

_looked = False


class ForeignDatabase(ImproperlyConfigured):
    """The database was born in the other mode."""


def mode_of_site() -> str:
    """'sandbox' or 'production', as the settings say."""
    return "sandbox" if settings.SUPERAPP_SANDBOX else "production"


def mode_of_database() -> str | None:
    """What the database was born as, or None before it was migrated."""
    try:
        return Installation.objects.filter(pk=1).values_list("mode", flat=True).first()
    except ProgrammingError:  # the table is not there yet
        return None


def refuse_foreign_database() -> None:
    """Raises ForeignDatabase when the database was born in the other mode."""
    born_as = mode_of_database()
    if born_as is not None and born_as != mode_of_site():
        raise ForeignDatabase(
            f"This database was born as a {born_as} database and SUPERAPP_MODE is {mode_of_site()!r}: "
            "point DATABASE_URL at another database, or set SUPERAPP_MODE to what this one is."
        )


def look_at_first_connection(connection: BaseDatabaseWrapper, **_signal: Any) -> None:
    """Looks once per process, whatever kind of process it is, before its first connection is used for anything.

    Raises ForeignDatabase, and closes the connection: the next attempt looks again.
    """
    global _looked  # noqa: PLW0603  once per process is what this is about
    if _looked or connection.alias != DEFAULT_DB_ALIAS:
        return
    _looked = True  # the look itself uses the connection
    try:
        refuse_foreign_database()
    except BaseException:
        _looked = False
        connection.close()
        raise


def settle() -> Installation:
    """Writes the row at the first migration, in the site's mode. Raises ForeignDatabase when it says otherwise."""
    installation, _ = Installation.objects.get_or_create(pk=1, defaults={"mode": mode_of_site()})
    refuse_foreign_database()
    return installation
