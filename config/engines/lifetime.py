"""When the engines run: from the first process that needs them until the last one that used them ends.

Whoever uses the engines holds a shared lock on `.local/users.lock`; who leaves and finds no other holder stops them. A
user that is killed cannot stop anything: the engines run on, and the next user takes care. `manage.py engines
start` makes them stay until `manage.py engines stop`. Starting and stopping hold `.local/start.lock`, so of many
processes that begin at once one starts and the others wait.
"""

import atexit
import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from config.engines import postgres, valkey
from config.engines.errors import EngineError
from config.engines.home import Home, belongs_to_another, home
from config.engines.identity import Identity, engines_identity
from config.sandbox_secrets import give_to_owner, make_folder


@dataclass(frozen=True)
class Needed:
    """Which engines this process needs of its own; the others are named by the environment."""

    postgres: bool
    valkey: bool

    @property
    def any(self) -> bool:
        """Whether there is anything to start at all."""
        return self.postgres or self.valkey


def needed() -> Needed:
    """What no URL names: PostgreSQL without DATABASE_URL, Valkey without REDIS_URL. Production starts nothing."""
    sandbox = os.environ.get("SUPERAPP_MODE", "sandbox") == "sandbox"
    return Needed(
        postgres=sandbox and not os.environ.get("DATABASE_URL"), valkey=sandbox and not os.environ.get("REDIS_URL")
    )


_uses: dict[Path, IO[str]] = {}


def ensure_running(of: Home | None = None, need: Needed | None = None) -> None:
    """Starts the engines this process needs, unless they run, and uses them until it ends. Quick when they run.

    Raises EngineError with one sentence.
    """
    of, need = of or home(), need or needed()
    if not need.any:
        return
    with _locked(of):
        _use(of)
        if (postgres.is_ready(of) or not need.postgres) and (valkey.is_ready(of) or not need.valkey):
            return
        identity = _prepare(of)
        if need.postgres:
            postgres.ensure(of, identity)
        if need.valkey:
            valkey.ensure(of, identity)


def leave(of: Home | None = None) -> None:
    """Uses the engines no longer; stops them when nobody else does and nobody asked them to stay."""
    of = of or home()
    if of.folder not in _uses:
        return
    with _locked(of):
        _uses.pop(of.folder).close()
        if _stay(of).exists():
            return
        with _open(of.folder / "users.lock") as others:
            try:
                fcntl.flock(others, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            _stop(of)


def stay(of: Home | None = None) -> None:
    """Starts the engines and keeps them running after this process, until `stop`."""
    of = of or home()
    ensure_running(of)
    _stay(of).touch()


def stop(of: Home | None = None) -> None:
    """Stops the engines, whoever uses them."""
    of = of or home()
    if not of.folder.exists():
        return
    with _locked(of):
        _stay(of).unlink(missing_ok=True)
        _stop(of)


def status(of: Home | None = None) -> dict[str, bool]:
    """Which engines answer."""
    of = of or home()
    return {"PostgreSQL": postgres.is_ready(of), "Valkey": valkey.is_ready(of)}


def _stop(of: Home) -> None:
    identity = _prepare(of)
    valkey.stop(of, identity)
    postgres.stop(of, identity)


def _stay(of: Home) -> Path:
    return of.folder / "engines-stay"


def _use(of: Home) -> None:
    if of.folder not in _uses:
        lock = _open(of.folder / "users.lock")
        fcntl.flock(lock, fcntl.LOCK_SH)
        _uses[of.folder] = lock
        atexit.register(_leave_at_exit, of, os.getpid())


def _leave_at_exit(of: Home, pid: int) -> None:
    """A forked child inherits the hold, and it counts as long as the child lives, but only the parent leaves."""
    if os.getpid() == pid:
        try:
            leave(of)
        except EngineError as fault:
            sys.stderr.write(f"{fault}\n")


def _prepare(of: Home) -> Identity:
    """Who the engines run as, and the folders they write to."""
    identity = engines_identity(of, postgres.program(), valkey.program())
    for part in (of.data.parent, of.run, of.valkey):
        make_folder(part)
        if part.stat().st_uid != identity.uid:
            identity.own(part)
    make_folder(of.log)
    return identity


@contextmanager
def _locked(of: Home) -> Iterator[None]:
    """The folder made and the start lock held. What the file system refuses becomes one sentence."""
    try:
        make_folder(of.folder, 0o755)
        with _open(of.folder / "start.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                yield
            finally:
                # Not by closing: a process forked meanwhile has a copy of the descriptor, and would keep the lock.
                fcntl.flock(lock, fcntl.LOCK_UN)
    except PermissionError as fault:
        raise belongs_to_another(of.folder) from fault
    except OSError as fault:
        raise EngineError(f"{of.folder} cannot be used: {fault.strerror}.") from fault


def _open(path: Path) -> IO[str]:
    """A lock file; it is never removed, or two processes could hold two files of one name."""
    found = path.exists()
    file = path.open("a")
    if not found:
        give_to_owner(path, like=path.parent)
    return file
