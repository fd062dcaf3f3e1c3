"""Finds and ends the processes of one home, whoever started them: a pid in a file proves nothing after a crash."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

import psutil


def marked(*marks: str, program: str, uid: int) -> list[psutil.Process]:
    """Living processes of user `uid` that run `program` with one of the marks on their command line, oldest first."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if (
                process.pid != os.getpid()
                and process.name() == program
                and process.uids().real == uid
                and process.status() != psutil.STATUS_ZOMBIE
                and any(mark in " ".join(process.cmdline()) for mark in marks)
            ):
                found.append(process)
    return sorted(found, key=lambda process: (process.create_time(), process.pid))


def end(find: Callable[[], list[psutil.Process]]) -> int:
    """Kills what `find` finds until it finds nothing; how many there were. No reader of theirs is left behind."""
    ended: set[int] = set()
    while processes := find():
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
            ended.add(process.pid)
        pause()
    return len(ended)


def wait_for(condition: Callable[[], bool]) -> None:
    """Waits, without limit, for something an engine will reach or die of."""
    while not condition():
        pause()


def pause() -> None:
    """The step of every wait for an engine."""
    time.sleep(0.02)
