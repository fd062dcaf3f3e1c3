"""Where the data is: the embedded PostgreSQL 18 of `.local/`, or the server that DATABASE_URL names.

Sessions carry their own limits, so that no caller waits for ever: the web's are short (a person is waiting), a worker's
longer, a command's only where it could hold up others.
"""

from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from config.engines.home import DATABASE, OWNER, home
from config.settings.environment import PROCESS, SANDBOX, env

EMBEDDED_POSTGRES = not env.str("DATABASE_URL", default="")

SITE_ROLE = "superapp_site"
"""What the site runs as: it may read and write rows, but owns nothing, and adds to the ledger without changing it."""

SEAL_HEADS_FILE = env.str("SEAL_HEADS_FILE", default="")
"""Where the ledger's seals are exported to, outside the database: a file that is only appended to. Empty: the log alone."""

SESSION_LIMITS = {
    "web": {
        "statement_timeout": "1500ms",
        "lock_timeout": "1s",
        "idle_in_transaction_session_timeout": "5s",
        "connect_timeout": 1,
    },
    "worker": {
        "statement_timeout": "60s",
        "lock_timeout": "5s",
        "idle_in_transaction_session_timeout": "60s",
        "connect_timeout": 3,
    },
    "command": {
        "statement_timeout": "0",
        "lock_timeout": "30s",
        "idle_in_transaction_session_timeout": "0",
        "connect_timeout": 5,
    },
}
SESSION_LIMITS["beat"] = SESSION_LIMITS["worker"]

VANISHED_SERVER = {"tcp_user_timeout": 5_000, "keepalives_idle": 4, "keepalives_interval": 2, "keepalives_count": 2}
"""Milliseconds, then seconds: how long a server may be silent below PostgreSQL, whose own limits end with it. A machine that is
gone says nothing at all, and the kernel would believe in it for a quarter of an hour. Ignored over a socket file.
"""


def _server() -> dict[str, Any]:
    """NAME, USER, PASSWORD, HOST, PORT and what else the URL says. Raises SystemExit with one sentence."""
    if EMBEDDED_POSTGRES:
        if not SANDBOX:
            raise SystemExit("DATABASE_URL must be set when SUPERAPP_MODE=production.")
        local = home()
        host, port = local.postgres_address
        said: dict[str, Any] = {
            "dbname": DATABASE, "user": OWNER, "password": local.password, "host": host, "port": port
        }  # fmt: skip
    else:
        url = env.str("DATABASE_URL")
        try:
            said = conninfo_to_dict(url) if url.startswith(("postgres://", "postgresql://")) else {}
        except psycopg.ProgrammingError:
            said = {}
        if not said.get("dbname"):
            raise SystemExit(
                "DATABASE_URL does not name a PostgreSQL database: it reads postgresql://user:password@host:5432/name."
            )
    limits = dict(SESSION_LIMITS[PROCESS])
    # For the few statements that are prepared (`superapp.prepared`): planned once, not once per length of an array.
    limits["plan_cache_mode"] = "force_generic_plan"
    options: dict[str, Any] = {
        "connect_timeout": limits.pop("connect_timeout"),
        "prepare_threshold": 5,
        **VANISHED_SERVER,
    }
    options["options"] = " ".join(f"-c {name}={value}" for name, value in limits.items())
    options["application_name"] = f"superapp {PROCESS}"
    server = {
        name: said.pop(word, "")
        for name, word in
        [("NAME", "dbname"), ("USER", "user"), ("PASSWORD", "password"), ("HOST", "host"), ("PORT", "port")]
    }  # fmt: skip
    return server | {"OPTIONS": {**options, **said, "assume_role": SITE_ROLE}}


DATABASES = {
    "default": {
        "ENGINE": "config.engines.backend",
        # One connection a thread, kept: both the web server and the workers have a fixed number of threads, so this is
        # the bound of a pool without its hand-over, and safe in forked workers.
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        **_server(),
    }
}
