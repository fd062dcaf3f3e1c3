"""Compares a base back-up with its manifest, as pg_verifybackup does: that of the embedded PostgreSQL's wheel does not start.

looked at            must hold
manifest             its last line is the SHA-256 of all lines before
files                each is there, of its size and SHA-256; none is there that the manifest does not name
the log it needs     pg_waldump reads it from where the copy began to where it ended

Not looked at: what a server writes into the folder after the copy, and the log beyond it (`pg_wal`).
"""

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from config.engines.binaries import postgres_bin

MANIFEST = "backup_manifest"
UNNAMED = {MANIFEST, "postgresql.auto.conf", "standby.signal", "recovery.signal"}
LOG_FOLDER = "pg_wal"


def faults_of(copy: Path) -> list[str]:
    """What is not as it was taken; empty when all is well."""
    text = (copy / MANIFEST).read_bytes()
    body, _, last = text.rstrip(b"\n").rpartition(b"\n")
    manifest: dict[str, Any] = json.loads(text)
    faults = (
        [] if hashlib.sha256(body + b"\n").hexdigest() == manifest["Manifest-Checksum"] else [f"{MANIFEST}: {last!r}"]
    )
    named = {file["Path"]: file for file in manifest["Files"]}
    found = {str(path.relative_to(copy)): path for path in copy.rglob("*") if path.is_file()}
    faults += [f"{name} is not there" for name in named.keys() - found.keys()]
    faults += [
        f"{name} is too much" for name in found.keys() - named.keys() - UNNAMED if not name.startswith(LOG_FOLDER)
    ]
    faults += [f"{name} has changed" for name in named.keys() & found.keys() if not _is(found[name], named[name])]
    return faults + [fault for part in manifest["WAL-Ranges"] for fault in _log_faults(copy / LOG_FOLDER, part)]


def _is(path: Path, file: dict[str, Any]) -> bool:
    content = path.read_bytes()
    return bool(len(content) == file["Size"] and hashlib.sha256(content).hexdigest() == file["Checksum"])


def _log_faults(folder: Path, part: dict[str, Any]) -> Iterator[str]:
    # fmt: off
    read = subprocess.run([
        postgres_bin() / "pg_waldump", "--quiet", "--path", folder, "--timeline", str(part["Timeline"]),
        "--start", part["Start-LSN"], "--end", part["End-LSN"],
    ], capture_output=True, text=True, check=False)
    # fmt: on
    if read.returncode:
        yield f"{folder.name}: {read.stderr.strip()}"
