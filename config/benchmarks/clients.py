"""Processes that do a benchmark's work side by side: each one connection, as Python's threads would share one core."""

import importlib
import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any


class Clients:
    """Started processes, each waiting for the next function to run."""

    def __init__(self, pipes: Sequence["Connection[Any, Any]"]) -> None:
        self._pipes = pipes

    def run(self, function: str, arguments: Sequence[Mapping[str, object]]) -> float:
        """Runs `module:function` in each process with its own arguments; the seconds from the first start to the last end."""
        started = time.perf_counter()
        self._tell_all(function, arguments)
        return time.perf_counter() - started

    def peak_memory_mb(self) -> float:
        """Of the largest of them, so far."""
        return max(
            float(answer) for answer in self._tell_all(f"{__name__}:own_peak_memory_mb", [{}] * len(self._pipes))
        )

    def _tell_all(self, function: str, arguments: Sequence[Mapping[str, object]]) -> list[Any]:
        for pipe, own in zip(self._pipes, arguments, strict=True):
            pipe.send((function, dict(own)))
        answers = [pipe.recv() for pipe in self._pipes]
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return answers


@contextmanager
def clients(count: int, *, environment: Mapping[str, str]) -> Iterator[Clients]:
    """So many processes with the site's settings and these variables; ended when the block ends, however it ends."""
    context = multiprocessing.get_context("spawn")
    pairs = [context.Pipe() for _ in range(count)]
    processes = [context.Process(target=_serve, args=(theirs,), daemon=True) for _, theirs in pairs]
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        for process in processes:
            process.start()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    for _, theirs in pairs:
        theirs.close()
    try:
        yield Clients([ours for ours, _ in pairs])
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()


def own_peak_memory_mb() -> float:
    """The most memory this process has held."""
    return in_mb(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def in_mb(maxrss: int) -> float:
    """What the system counts in kibibytes (macOS: bytes), in megabytes with one decimal."""
    return round(maxrss / (2**20 if sys.platform == "darwin" else 2**10), 1)


def _serve(pipe: "Connection[Any, Any]") -> None:
    """Runs what it is told until it is ended. Ctrl-C is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import django

    django.setup()
    while True:
        try:
            function, arguments = pipe.recv()
        except EOFError:
            return
        module, _, name = function.partition(":")
        try:
            pipe.send(getattr(importlib.import_module(module), name)(**arguments))
        except Exception as fault:  # noqa: BLE001  it is raised again in the parent
            pipe.send(RuntimeError(f"{function}: {type(fault).__name__}: {fault}"))
