"""Runs web, worker and beat under one roof and shows what they say, for `make run`.

Ctrl-C or SIGTERM asks each to finish what it is doing and waits for it. When one ends by itself, so do all. When this
process is killed, the kernel ends the others, so that no orphan keeps the port.
"""

import ctypes
import os
import shlex
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from honcho import manager
from honcho.process import Popen, Process

from config import engines

DRAIN_SECONDS = 30
"""How long a process may take to finish what it has begun; then it is killed."""

WATCH_SECONDS = 0.5
"""How often the embedded engines are looked after."""

AFTER_WEB = ("nice", "-n", "5")
"""On a small machine the web answers first; who opened a browser is waiting."""

PR_SET_PDEATHSIG = 1
STOPPED_BY_SIGNAL = {130, 143}


THREADS = 32
"""Of a web process: one is at work, the others wait for it and say so when that takes too long (`config.admission`)."""


def web_command(*, port: int, processes: int, host: str = "127.0.0.1") -> list[str]:
    """The web server, by processes; `config.admission` lets one request in at a time into each."""
    return [
        _tool("granian"), "--interface", "wsgi", "--host", host, "--port", str(port), "--no-ws",
        "--workers", str(processes), "--blocking-threads", str(THREADS),
        "--respawn-failed-workers", "--workers-kill-timeout", str(DRAIN_SECONDS), "--log-level", "warning",
        "config.wsgi:application",
    ]  # fmt: skip


def worker_command(*, processes: int) -> list[str]:
    """A worker with so many processes."""
    return [
        *AFTER_WEB, _tool("celery"), "--app", "config", "--quiet", "worker", "--concurrency", str(processes),
        "--loglevel", "INFO", "--without-gossip", "--without-mingle", "--without-heartbeat",
    ]  # fmt: skip


def beat_command() -> list[str]:
    """The beat."""
    return [*AFTER_WEB, _tool("celery"), "--app", "config", "--quiet", "beat", "--loglevel", "WARNING"]


def port_is_taken(port: int, host: str = "127.0.0.1") -> bool:
    """Whether somebody listens there already."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError:
            return True
    return False


def run_together(commands: Mapping[str, Sequence[str]], environments: Mapping[str, Mapping[str, str]]) -> int:
    """Runs the commands until one ends or a signal comes; 0 when a person stopped them, else what the first one said."""
    manager.KILL_WAIT = DRAIN_SECONDS + 5
    together = _Together()
    for name, command in commands.items():
        together.add_process(name, shlex.join(["exec", *command]), env={**os.environ, **environments.get(name, {})})
    together.loop()
    together.stop_watching()
    ended = together.returncode or 0
    return 0 if ended in STOPPED_BY_SIGNAL else ended


class _Together(manager.Manager):  # type: ignore[misc]
    """Honcho's manager, which also looks after the embedded engines."""

    def __init__(self) -> None:
        super().__init__()
        self._process_ctor = _Process
        self._procmgr = _Signals()
        self._stopping = threading.Event()
        self._watch = threading.Thread(target=_look_after_engines, args=(self._stopping,), daemon=True)

    def _start(self) -> None:
        """Forks first: a thread that holds a lock at that moment would leave it locked in the child."""
        super()._start()
        self._watch.start()

    def stop_watching(self) -> None:
        """Lets the engines be stopped."""
        self._stopping.set()
        self._watch.join()


class _Signals(manager.ProcessManager):  # type: ignore[misc]
    """Asks a process, not its whole group, to stop: web and worker pass it on to their children themselves, and a
    child that is asked twice at once may wait for itself for ever."""

    def terminate(self, pid: int) -> None:
        """To the one; killing is for the group."""
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


class _Process(Process):  # type: ignore[misc]
    """A process that does not outlive this one."""

    def run(self, events: object = None, ignore_signals: bool = False) -> None:
        """As honcho does, in a process of its own."""
        _die_with_parent(signal.SIGKILL)()
        self._child_ctor = partial(Popen, preexec_fn=_die_with_parent(signal.SIGTERM))
        super().run(events, ignore_signals)


def _die_with_parent(by: signal.Signals) -> Callable[[], None]:
    """Asks the kernel to send the signal when the parent dies. Elsewhere than on Linux nothing is asked."""
    if sys.platform != "linux":
        return lambda: None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, int(by), 0, 0, 0)


def _look_after_engines(stopping: threading.Event) -> None:
    """Starts a killed engine again."""
    while not stopping.wait(WATCH_SECONDS):
        try:
            engines.ensure_running()
        except engines.EngineError as fault:
            sys.stderr.write(f"{fault}\n")


def _tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))
