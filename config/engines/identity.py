"""Who the engines run as: the person who starts them; under root, somebody lesser who can reach the checkout."""

import json
import os
import pwd
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from config.engines.errors import EngineError
from config.engines.home import CHECKOUT, Home, belongs_to_another

DAC_OVERRIDE, DAC_READ_SEARCH = 1, 2
"""Linux capabilities. The second is milder, but containers often lack it, and it does not run a program of mode 0700."""

LAUNCH = Path(__file__).with_name("launch.py")


@dataclass(frozen=True)
class Identity:
    """A user the engines run as. `user` is None: the one who asks. `search`: the capability that passes any folder."""

    user: tuple[int, int] | None
    search: int | None

    @property
    def uid(self) -> int:
        """The user id of the engines' processes."""
        return self.user[0] if self.user else os.geteuid()

    def execute(self, argv: Sequence[str | Path], *, text: str = "") -> "subprocess.CompletedProcess[str]":
        """Runs a program as this user to its end, with `text` on its standard input."""
        return subprocess.run(self._command(argv), input=text, capture_output=True, text=True, check=False)

    def start(self, argv: Sequence[str | Path], *, log: Path) -> None:
        """Starts a program as this user, as a daemon that writes to `log`. Raises EngineError."""
        done = subprocess.run(self._command(argv, log=log), capture_output=True, text=True, check=False)
        if done.returncode:
            raise EngineError(f"{argv[0]} cannot be started: {done.stderr.strip()}.")

    def reaches(self, folder: Path, *programs: Path) -> bool:
        """Whether this user can enter the folder and run each of the programs: tried, not guessed from modes."""
        return all(
            subprocess.run(
                self._command([program, "--version"], probe=folder), capture_output=True, check=False
            ).returncode
            == 0
            for program in programs
        )

    def own(self, path: Path) -> None:
        """As root: makes the engines' user the owner of `path` and of all within."""
        if self.user is None:
            return
        for entry in (path, *path.rglob("*")):
            found = entry.lstat()
            if (found.st_uid, found.st_gid) != self.user:
                os.chown(entry, *self.user, follow_symlinks=False)

    def _command(self, argv: Sequence[str | Path], *, log: Path | None = None, probe: Path | None = None) -> list[str]:
        order = {
            "argv": [str(part) for part in argv],
            "user": self.user,
            "search": self.search,
            "log": str(log) if log else None,
            "probe": str(probe) if probe else None,
        }
        return [sys.executable, "-I", "-S", str(LAUNCH), json.dumps(order)]


def engines_identity(home: Home, *programs: Path) -> Identity:
    """Chooses who runs the programs over the home's folder, which exists.

    Raises EngineError: a plain user in somebody else's folder; root where no lesser user can reach it.
    """
    if os.geteuid() != 0:
        if not os.access(home.folder, os.W_OK | os.X_OK) or any(
            part.exists() and part.stat().st_uid != os.geteuid() for part in (home.data.parent, home.run, home.valkey)
        ):
            raise belongs_to_another(home.folder)
        return Identity(user=None, search=None)
    candidates = list(dict.fromkeys(_lesser_users(home)))
    for search in (None, DAC_READ_SEARCH, DAC_OVERRIDE):
        for user in candidates:
            identity = Identity(user=user, search=search)
            if identity.reaches(home.folder, *programs):
                return identity
    raise EngineError(
        f"PostgreSQL does not run as root, and no other user can reach {home.folder}: move the checkout to a folder"
        " that others may enter, or set DATABASE_URL and REDIS_URL."
    )


def _lesser_users(home: Home) -> Iterator[tuple[int, int]]:
    """Who has run the engines here before, whose checkout it is, then the system's own nobodies."""
    if home.data.exists() and (owner := home.data.stat().st_uid):
        with suppress(KeyError):
            yield owner, pwd.getpwuid(owner).pw_gid
    if owner := CHECKOUT.stat().st_uid:
        with suppress(KeyError):
            yield owner, pwd.getpwuid(owner).pw_gid
    for name in ("nobody", "daemon", "postgres"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            yield entry.pw_uid, entry.pw_gid
