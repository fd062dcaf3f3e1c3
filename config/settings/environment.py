"""What the environment says: which mode the site runs in, and where its files are."""

import sys
from pathlib import Path

import environ

from config.engines.home import home

env = environ.Env()

BASE_DIR = Path(__file__).resolve().parent.parent.parent
LOCAL_DIR = home().folder
"""What this checkout keeps for itself: embedded engines, sandbox secrets, logs."""

MODE = env.str("SUPERAPP_MODE", default="sandbox")
if MODE not in {"sandbox", "production"}:
    raise SystemExit(f"SUPERAPP_MODE must be 'sandbox' or 'production', not {MODE!r}.")
SANDBOX = MODE == "sandbox"

PROCESSES = ("web", "worker", "beat", "command")


def _process() -> str:
    """What this process is for, which decides its limits: SUPERAPP_PROCESS, or what its command line shows.

    `config.wsgi` says web by itself. Raises SystemExit for an unknown word.
    """
    named: str = env.str("SUPERAPP_PROCESS", default="")
    if named:
        if named not in PROCESSES:
            raise SystemExit(f"SUPERAPP_PROCESS must be one of {', '.join(PROCESSES)}, not {named!r}.")
        return named
    if Path(sys.argv[0]).name == "celery":
        return "beat" if "beat" in sys.argv else "worker" if "worker" in sys.argv else "command"
    return "command"


PROCESS = _process()


def secret(name: str) -> str:
    """A secret from the environment; in a sandbox one that is made once and kept in `.local/secrets/`.

    Raises SystemExit in production when the environment does not name it.
    """
    value: str = env.str(name, default="")
    if value:
        return value
    if not SANDBOX:
        raise SystemExit(f"{name} must be set when SUPERAPP_MODE=production.")
    from config.sandbox_secrets import kept_secret

    return kept_secret(LOCAL_DIR / "secrets", name)
