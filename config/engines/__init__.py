"""The engines that come along: PostgreSQL 18 and Valkey from wheels, run by this package in `.local/`."""

from config.engines.errors import EngineError
from config.engines.home import Home, home
from config.engines.lifetime import ensure_running, leave, needed, status, stay, stop

__all__ = ["EngineError", "Home", "ensure_running", "home", "leave", "needed", "status", "stay", "stop"]
