"""Back-ups of an embedded PostgreSQL, taken and restored with the commands that docs/operations.md shows to operators.

    begin_archiving   the settings of the page, a role that may copy, a restart
    take              the copy, and its check
    restore           copy, what is left of the old server's log, recovery settings; then the server starts by itself

The page's folders (`/srv/...`) stand for folders here; nothing else of a command is changed.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from config.engines import Home, lifetime, postgres
from config.engines.binaries import postgres_bin
from config.engines.identity import Identity, engines_identity
from config.sandbox_secrets import make_folder
from tests.databases import CHECKOUT
from tests.faults import backup_manifest
from tests.faults.rig import ENGINES

PAGE = CHECKOUT / "docs" / "operations.md"
ROLE = "superapp_backup"
ROLE_PASSWORD = "of-a-drill-only"
ARCHIVE, BACKUP, OLD, DATA = "/srv/archive", "/srv/backup", "/srv/old", "/srv/data"
INSTANT = re.compile(r"^recovery_target_time = .*\n", re.MULTILINE)
TIMEOUT = re.compile(r"^archive_timeout = \d+$", re.MULTILINE)


@dataclass(frozen=True)
class Archive:
    """Where a server's finished log files go, and its copies."""

    folder: Path

    @property
    def log(self) -> Path:
        """The archive."""
        return self.folder / "archive"

    @property
    def copy(self) -> Path:
        """The base back-up."""
        return self.folder / "backup"


def on_the_page(heading: str, language: str, number: int = 0) -> str:
    """An example of the page: the block in that language, counted from 0, below the heading."""
    below = PAGE.read_text().split(f"\n### {heading}\n", 1)[1].split("\n## ", 1)[0].split("\n### ", 1)[0]
    found = re.findall(rf"^```{language}\n(.*?)^```", below, re.MULTILINE | re.DOTALL)
    return str(found[number])


def begin_archiving(home: Home, archive: Archive, *, every_seconds: int) -> None:
    """Restarts the server as the page says; a file of the log goes to the archive after so many seconds at the latest."""
    lifetime.stop(home)
    identity = _identity(home)
    for folder in (archive.folder, archive.log):
        make_folder(folder, 0o755)
    identity.own(archive.log)
    settings = TIMEOUT.sub(f"archive_timeout = {every_seconds}", on_the_page("Archive the log", "ini"))
    _append(home.data / "postgresql.conf", _here(settings, {ARCHIVE: archive.log}))
    _append(
        home.data / "pg_hba.conf",
        f"local replication {ROLE} scram-sha-256\nhost replication {ROLE} 127.0.0.1/32 scram-sha-256\n",
    )
    role = on_the_page("The role that takes back-ups", "sql").replace("'...'", f"'{ROLE_PASSWORD}'")
    made = identity.execute([postgres.program(), "--single", "-D", home.data, "postgres"], text=role)
    assert made.returncode == 0, made.stderr
    assert "ERROR:" not in made.stderr, made.stderr
    lifetime.ensure_running(home, ENGINES)


def end_archiving(home: Home) -> None:
    """Restarts the server without an archive."""
    lifetime.stop(home)
    _append(home.data / "postgresql.conf", "archive_mode = off\n")
    lifetime.ensure_running(home, ENGINES)


def take(home: Home, archive: Archive) -> None:
    """Copies the server, at work or not. Raises AssertionError when a command fails."""
    host, port = home.postgres_address
    copy, _ = on_the_page("Take a copy, and check it", "sh").splitlines()
    login = {"PGHOST": host, "PGPORT": str(port), "PGUSER": ROLE, "PGPASSWORD": ROLE_PASSWORD}
    _execute(copy, {BACKUP: archive.copy}, login)


def check(archive: Archive) -> None:
    """Compares the copy with its manifest. Raises AssertionError when it is not what was taken."""
    _, compare = on_the_page("Take a copy, and check it", "sh").splitlines()
    if subprocess.run([postgres_bin() / "pg_verifybackup", "--version"], capture_output=True, check=False).returncode:
        assert backup_manifest.faults_of(archive.copy) == []
    else:
        _execute(compare, {BACKUP: archive.copy})


def restore(
    archive: Archive, *, to: Home, secrets_of: Home, log_of: Home | None = None, until: datetime | None = None
) -> None:
    """Makes the home's data from the copy, to be recovered when it is started; its secrets, which no copy has, come along.

    `log_of`: whose disk can still be read. `until`: the instant to recover to; None: to the end of what there is.
    """
    make_folder(to.folder, 0o755)
    make_folder(to.data.parent)
    shutil.copytree(secrets_of.folder / "secrets", to.folder / "secrets")
    folders = {BACKUP: archive.copy, DATA: to.data, ARCHIVE: archive.log}
    for command in on_the_page("Restore", "sh").splitlines():
        _execute(command, folders)
    if log_of is not None:
        for command in on_the_page("Restore", "sh", 1).splitlines():
            _execute(command, folders | {OLD: log_of.data})
    target = f"recovery_target_time = '{until.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00'\n" if until else ""
    _append(to.data / "postgresql.conf", _here(INSTANT.sub(target, on_the_page("Restore", "ini")), folders))
    to.data.chmod(0o700)
    _identity(to).own(to.data.parent)


def _identity(home: Home) -> Identity:
    return engines_identity(home, postgres.program())


def _append(path: Path, lines: str) -> None:
    with path.open("a") as file:
        file.write(lines)


def _here(text: str, folders: Mapping[str, Path]) -> str:
    for name, folder in folders.items():
        text = text.replace(name, str(folder))
    return text


def _execute(command: str, folders: Mapping[str, Path], login: Mapping[str, str] | None = None) -> None:
    path = f"{postgres_bin()}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    done = subprocess.run(  # noqa: S602  it is a line of our own page
        _here(command, folders),
        shell=True,
        env={**os.environ, "PATH": path, **(login or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
