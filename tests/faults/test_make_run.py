"""`manage.py run`, which is `make run`: from an empty folder to a site that serves, and to nothing on Ctrl-C."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from config.engines import Home
from tests.databases import CHECKOUT
from tests.faults import figures
from tests.site import free_port
from tests.waiting import PATIENCE_SECONDS, wait_until

pytestmark = pytest.mark.processes

OF_ANOTHER_SITE = {"DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "CELERY_TASK_DEFAULT_QUEUE", "SUPERAPP_PROCESS"}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path leaves room for a socket's name, and that any user may enter."""
    made = Path(tempfile.mkdtemp(prefix="run-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).is_success
    except httpx.TransportError:
        return False


def _left(home: Home, children: list[psutil.Process]) -> list[psutil.Process]:
    engines = [one for one in psutil.process_iter(["cmdline"]) if home.tag in " ".join(one.info["cmdline"] or ())]
    return [*engines, *(child for child in children if child.is_running())]


def test_make_run_serves_from_an_empty_folder_and_ends_cleanly_on_ctrl_c(folder: Path) -> None:
    home, port = Home(folder / "l"), free_port()
    kept = {name: value for name, value in os.environ.items() if name not in OF_ANOTHER_SITE}
    log = folder / "said"
    began = time.monotonic()
    with log.open("wb") as said:
        run = subprocess.Popen(
            [sys.executable, "manage.py", "run", "--port", str(port), "--web", "1", "--worker", "1"],
            cwd=CHECKOUT,
            env={**kept, "SUPERAPP_LOCAL_DIR": str(home.folder), "SUPERAPP_MODE": "sandbox", "PYTHONUNBUFFERED": "1"},
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until(lambda: _is_ready(f"http://127.0.0.1:{port}"), 300, what="/readyz of manage.py run")
        figures.note("manage.py run from an empty folder: ready after", time.monotonic() - began, "s")
        children = psutil.Process(run.pid).children(recursive=True)
        run.send_signal(signal.SIGINT)
        with figures.timed("manage.py run: ended after Ctrl-C within"):
            ended = run.wait(PATIENCE_SECONDS)
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()

    assert ended == 0, log.read_text()
    assert "Stopped." in log.read_text()
    assert "Traceback" not in log.read_text()
    wait_until(lambda: not _left(home, children), what="the end of everything it had started")
