"""A fresh sandbox for the story: engines, database and processes in `.local/demo`, gone when the story ends."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from config import engines
from config.engines.home import CHECKOUT

FOLDER = CHECKOUT / ".local" / "demo"

ELSEWHERE = ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "SUPERAPP_MODE")
"""What would lead the story to another database."""

UP_WITHIN_SECONDS = 180
DRAINED_WITHIN_SECONDS = 45


class DidNotStart(Exception):
    """The site did not come up; what it said last."""


def environment() -> dict[str, str]:
    """This process's environment, led to the story's own engines."""
    kept = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    return {**kept, "SUPERAPP_LOCAL_DIR": str(FOLDER), "PYTHONUNBUFFERED": "1"}


def is_home() -> bool:
    """Whether this process's settings already lead to the story's own engines."""
    return os.environ.get("SUPERAPP_LOCAL_DIR") == str(FOLDER) and not any(name in os.environ for name in ELSEWHERE)


def clear() -> None:
    """Stops the story's engines and removes its folder. Before a story begins: its process reads secrets from there."""
    if FOLDER.exists():
        its = engines.Home(FOLDER.resolve())
        engines.leave(its)  # this process has looked into the ledger itself
        engines.stop(its)
        shutil.rmtree(FOLDER)


@contextmanager
def served() -> Iterator[str]:
    """Serves a fresh sandbox, and answers with its address. Raises DidNotStart."""
    said = FOLDER / "site.log"
    port = _free_port()
    with said.open("wb") as log:
        site = subprocess.Popen(
            [sys.executable, "manage.py", "run", "--port", str(port)],
            cwd=CHECKOUT,
            env=environment(),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_ready(f"http://127.0.0.1:{port}", site, said)
        yield f"http://127.0.0.1:{port}"
    finally:
        _end(site)
        clear()


def _wait_until_ready(url: str, site: "subprocess.Popen[bytes]", said: Path) -> None:
    gives_up = time.monotonic() + UP_WITHIN_SECONDS
    while site.poll() is None and time.monotonic() < gives_up:
        try:
            if httpx.get(f"{url}/readyz", timeout=5).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise DidNotStart("\n".join(said.read_text(errors="replace").splitlines()[-20:]))


def _end(site: "subprocess.Popen[bytes]") -> None:
    if site.poll() is not None:
        return
    site.send_signal(signal.SIGINT)
    try:
        site.wait(timeout=DRAINED_WITHIN_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(site.pid, signal.SIGKILL)
        site.wait()


def _free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])
