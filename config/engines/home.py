"""Where the embedded engines live: one folder, `.local/` of the checkout, and everything that follows from its path.

    .local/postgres/data    the cluster               .local/run      sockets or ports, mode 0700
    .local/valkey           append-only file          .local/log      what the engines say
    .local/secrets          made at first use         .local/*.lock   who starts, who uses

Nothing here starts anything: settings are imported by tools that only want to read.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from config.engines.errors import EngineError
from config.sandbox_secrets import kept_secret

CHECKOUT = Path(__file__).resolve().parent.parent.parent
LONGEST_SOCKET_PATH = 100
"""Bytes. The kernel's own limit is 108 (104 on macOS) for the whole path of a Unix socket."""
SOCKET_PORT = 5432
OWNER = "superapp_owner"
DATABASE = "superapp"


@dataclass(frozen=True)
class Home:
    """The folder of one pair of engines. Two folders never meet: each has its own sockets, ports, locks and tag."""

    folder: Path

    @property
    def data(self) -> Path:
        """PostgreSQL's data directory; it appears in one piece, when it is ready to be used."""
        return self.folder / "postgres" / "data"

    @property
    def run(self) -> Path:
        """Sockets or ports; only the engines' user enters."""
        return self.folder / "run"

    @property
    def log(self) -> Path:
        """What the engines say."""
        return self.folder / "log"

    @property
    def valkey(self) -> Path:
        """Valkey's append-only file and configuration."""
        return self.folder / "valkey"

    @cached_property
    def tag(self) -> str:
        """Marks each process of this home in the process list, where it is found after a crash."""
        return "superapp-" + hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:12]

    @cached_property
    def uses_sockets(self) -> bool:
        """Whether the path is short enough for Unix sockets; else loopback TCP."""
        return len(os.fsencode(self.run / f".s.PGSQL.{SOCKET_PORT}.lock")) <= LONGEST_SOCKET_PATH

    @property
    def password(self) -> str:
        """The site's password at PostgreSQL; made at first use, readable by its owner only."""
        return kept_secret(self.folder / "secrets", "postgres_password")

    @property
    def valkey_password(self) -> str:
        """Valkey's password, asked for on TCP only."""
        return kept_secret(self.folder / "secrets", "valkey_password")

    @property
    def postgres_address(self) -> tuple[str, int]:
        """(socket folder or host, port). Port 0: on TCP and never started yet."""
        if self.uses_sockets:
            return str(self.run), SOCKET_PORT
        return "127.0.0.1", self._port("postgres")

    @property
    def valkey_socket(self) -> Path:
        """Valkey's Unix socket, when the path is short enough."""
        return self.run / "valkey.sock"

    @property
    def valkey_port(self) -> int:
        """Valkey's port on loopback, when it is not; 0: never started yet."""
        return self._port("valkey")

    def database_url(self, name: str = DATABASE) -> str:
        """What DATABASE_URL would say to reach this PostgreSQL."""
        host, port = self.postgres_address
        return f"postgresql://{OWNER}:{self.password}@/{name}?host={quote(host, safe='')}&port={port}"

    def redis_url(self, number: int) -> str:
        """What REDIS_URL would say to reach database `number` of this Valkey."""
        if self.uses_sockets:
            return f"unix://{quote(str(self.valkey_socket))}?db={number}"
        return f"redis://:{self.valkey_password}@127.0.0.1:{self.valkey_port}/{number}"

    def broker_url(self, number: int) -> str:
        """The same for Celery, whose transport calls a Unix socket by another scheme."""
        if self.uses_sockets:
            return f"redis+socket://{quote(str(self.valkey_socket))}?virtual_host={number}"
        return self.redis_url(number)

    def _port(self, engine: str) -> int:
        try:
            return int(json.loads((self.run / f"{engine}.port").read_text()))
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return 0
        except PermissionError as fault:
            raise belongs_to_another(self.folder) from fault


def belongs_to_another(folder: Path) -> EngineError:
    """Two people cannot share one checkout's engines."""
    return EngineError(
        f"{folder} belongs to another user: run as that user, or in a checkout of your own"
        " (or set DATABASE_URL and REDIS_URL)."
    )


def home() -> Home:
    """The engines of this checkout; SUPERAPP_LOCAL_DIR puts them elsewhere."""
    return Home(Path(os.environ.get("SUPERAPP_LOCAL_DIR") or CHECKOUT / ".local").resolve())
