"""docs/sign-in.md is true: its commands run against a live site and print what the page says."""

import logging
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.cache import cache
from django.test.testcases import LiveServerThread

from tests.databases import TestDatabase
from tests.docs import curl
from tests.docs.console import commands_of, run
from tests.superapp.app_client import SandboxLog
from tests.waiting import PATIENCE_SECONDS


@pytest.fixture
def site(committed_db: TestDatabase) -> Iterator[str]:
    """The address of a running site."""
    cache.clear()
    server = LiveServerThread("localhost", StaticFilesHandler)
    server.daemon = True
    server.start()
    server.is_ready.wait(PATIENCE_SECONDS)
    assert server.error is None
    yield f"http://localhost:{server.port}"
    server.terminate()


@pytest.fixture
def log() -> Iterator[SandboxLog]:
    """The terminal in which codes are shown."""
    shown = SandboxLog()
    logger = logging.getLogger("superapp.deliveries")
    before = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(shown)
    yield shown
    logger.removeHandler(shown)
    logger.setLevel(before)


CURLS = {
    "ours": f"{shlex.quote(sys.executable)} {shlex.quote(str(Path(curl.__file__)))}",
    "the machine's": shutil.which("curl"),
}


@pytest.mark.parametrize("program", [program for program in CURLS.values() if program])
def test_the_commands_of_the_sign_in_page_do_what_it_says(
    site: str, log: SandboxLog, tmp_path: Path, program: str
) -> None:
    def as_typed(command: str) -> str:
        if command.startswith("SITE="):
            return f'SITE={site}; curl() {{ {program} "$@"; }}'
        if command == "CODE=123456":
            return f"CODE={log.code_for('+8613812345678')}"
        return command

    commands = commands_of("sign-in.md")

    assert len(commands) > 10
    run(commands, folder=tmp_path, instead=as_typed)
