"""What a person at a terminal is told when the place the site runs in is not as it must be."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.db.utils import NotSupportedError

from config.engines.errors import EngineError


@contextmanager
def refusals() -> Iterator[None]:
    """Turns what nobody here can mend (no engine, no database, too old a server) into one sentence and exit code 1."""
    from config.engines.backend.base import DatabaseUnreachable

    try:
        yield
    except (EngineError, DatabaseUnreachable) as fault:
        sys.exit(str(fault))
    except NotSupportedError as fault:
        if "or later is required" not in str(fault):
            raise
        sys.exit(str(fault))
