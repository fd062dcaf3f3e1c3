"""What the environment says: which mode the site runs in, and where its files are."""

from pathlib import Path

import environ

env = environ.Env()

BASE_DIR = Path(__file__).resolve().parent.parent.parent
LOCAL_DIR = BASE_DIR / ".local"

MODE = env.str("SUPERAPP_MODE", default="sandbox")
if MODE not in {"sandbox", "production"}:
    raise SystemExit(f"SUPERAPP_MODE must be 'sandbox' or 'production', not {MODE!r}.")
SANDBOX = MODE == "sandbox"


def secret(name: str) -> str:
    """A secret from the environment; in a sandbox one that is made once and kept in `.local/secrets/`.

    Raises SystemExit in production when the environment does not name it.
    """
    value = env.str(name, default="")
    if value:
        return value
    if not SANDBOX:
        raise SystemExit(f"{name} must be set when SUPERAPP_MODE=production.")
    from config.settings.sandbox_secrets import kept_secret

    return kept_secret(LOCAL_DIR / "secrets", name)
