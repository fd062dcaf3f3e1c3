"""Counters of many processes on one machine, added up: a file per process, which outlives it.

A web server and a worker are several processes, and a scrape meets only one of them. So each keeps its counters in a file of
its own (the multi-process mode of Prometheus' client), and whoever is asked adds the files up. What a process that has ended
had counted is moved into one file for all such, or there would be more files with each restart, and a total that fell
whenever one was removed would look like a restart of everything.

The folder belongs to one machine, or one container, because a process is known by its number there. Without it (commands,
tests) the counters live in the process.
"""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from prometheus_client import CollectorRegistry, generate_latest, mmap_dict
from prometheus_client.multiprocess import MultiProcessCollector

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""What the client library looks for when it is imported; `config.settings.metrics` sets it for processes that serve."""

ENDED = 0
"""The number under which processes that have ended are added up; no process has it."""


ROOM_BYTES = 256 * 1024
"""Of each file of a process: several times what all the series there are have come to."""


def folder() -> Path | None:
    """Where this process keeps its counters, or None: in itself."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else None


def take_room() -> None:
    """Lets the disk give this process's files the room now that they may need later; after the files have been made.

    They are written as memory. A page of them that a full disk cannot give ends the process, with whatever it was doing: so a
    disk that fills up would take the site along, for a counter.
    """
    where = folder()
    if where is None or sys.platform == "darwin":  # which has no such call
        return
    for path in where.glob(f"*_{os.getpid()}.db"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, ROOM_BYTES)


def page_of_processes(registry: CollectorRegistry) -> bytes:
    """The counters of all processes of this machine in Prometheus' text format; without a folder, those of `registry`."""
    where = folder()
    if where is None:
        return generate_latest(registry)
    add_up_ended(where)
    together = CollectorRegistry()
    MultiProcessCollector(together, path=str(where))  # type: ignore[no-untyped-call]
    with _alone(where, fcntl.LOCK_SH):
        return generate_latest(together)


def add_up_ended(where: Path) -> int:
    """Moves what processes that have ended had counted into one file of each kind. Says how many files went.

    Nobody reads in between, or would see a count twice or not at all.
    """
    ended = [path for path in where.glob("*.db") if not _is_alive(_process_of(path))]
    if not ended:
        return 0
    gone = 0
    with _alone(where, fcntl.LOCK_EX):
        for path in ended:
            if path.exists():  # another scrape may have been quicker
                _move(path, path.with_name(f"{path.stem.rpartition('_')[0]}_{ENDED}.db"))
                gone += 1
    return gone


_File: Any = mmap_dict.MmapedDict  # the library has no types here


def _move(path: Path, into: Path) -> None:
    total = _File(str(into))
    try:
        for key, value, _, _ in _File.read_all_values_from_file(str(path)):
            total.write_value(key, total.read_value(key)[0] + value, 0.0)
    finally:
        total.close()
    path.unlink()


def _process_of(path: Path) -> int:
    return int(path.stem.rpartition("_")[2])


def _is_alive(process: int) -> bool:
    return process == ENDED or psutil.pid_exists(process)


@contextmanager
def _alone(where: Path, how: int) -> Iterator[None]:
    with (where / "lock").open("a") as lock:
        fcntl.flock(lock, how)
        yield
