"""What the environment names is used, nothing embedded starts for it, and what cannot be used is one sentence."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from config.engines import lifetime
from config.engines.backend.base import DatabaseWrapper
from config.refusals import refusals
from tests.databases import TestDatabase

pytestmark = pytest.mark.processes

CHECKOUT = Path(__file__).resolve().parent.parent.parent
NOBODY_LISTENS = "postgresql://someone:secret@127.0.0.1:1/nowhere"


def _manage(*words: str, local: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Runs a command of manage.py with a `.local/` of its own."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in {"DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "SUPERAPP_PROCESS"}
    }
    return subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=CHECKOUT,
        env={**inherited, "SUPERAPP_LOCAL_DIR": str(local), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def _is_one_sentence(done: "subprocess.CompletedProcess[str]", *, saying: str) -> None:
    assert done.returncode != 0
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert saying in lines[0]
    assert "secret" not in done.stderr


def test_named_servers_are_used_and_nothing_is_started(tmp_path: Path, committed_db: TestDatabase) -> None:
    done = _manage(
        "showmigrations",
        "superapp",
        local=tmp_path,
        DATABASE_URL=committed_db.url,
        REDIS_URL="redis://127.0.0.1:1/0",
    )

    assert done.returncode == 0, done.stderr
    assert "[X] 0001_initial" in done.stdout
    assert not (tmp_path / "postgres").exists()
    assert not (tmp_path / "valkey").exists()


def test_an_unreachable_database_is_one_sentence(tmp_path: Path) -> None:
    done = _manage("migrate", local=tmp_path, DATABASE_URL=NOBODY_LISTENS, REDIS_URL="redis://127.0.0.1:1/0")

    _is_one_sentence(done, saying="The database nowhere at 127.0.0.1:1 (DATABASE_URL) cannot be reached")
    assert not (tmp_path / "postgres").exists()


@pytest.mark.parametrize(
    ("name", "value", "saying"),
    [
        ("DATABASE_URL", "mysql://somewhere/else", "DATABASE_URL does not name a PostgreSQL database"),
        ("DATABASE_URL", "postgresql://host:port/name?sslmode", "DATABASE_URL does not name a PostgreSQL database"),
        ("REDIS_URL", "localhost", "REDIS_URL does not name a server"),
        ("CELERY_BROKER_URL", "localhost", "CELERY_BROKER_URL does not name a broker"),
        ("SUPERAPP_MODE", "demo", "SUPERAPP_MODE must be"),
        ("SUPERAPP_PROCESS", "cook", "SUPERAPP_PROCESS must be"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(tmp_path: Path, name: str, value: str, saying: str) -> None:
    _is_one_sentence(_manage("check", local=tmp_path, **{name: value}), saying=saying)


def test_a_postgresql_older_than_18_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DatabaseWrapper, "get_database_version", lambda _self: (17, 6))
    old = connection.copy()

    with pytest.raises(SystemExit, match=r"^PostgreSQL 18 or later is required \(found 17.6\).$"), refusals():
        old.check_database_version_supported()


def test_a_taken_port_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        done = _manage("run", "--port", str(port), local=tmp_path)

    _is_one_sentence(done, saying=f"Port {port} is taken")
    assert not (tmp_path / "postgres").exists()


def test_importing_the_settings_starts_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import config.settings"],
        cwd=CHECKOUT,
        env={**os.environ, "SUPERAPP_LOCAL_DIR": str(tmp_path)},
        check=True,
        timeout=300,
    )
    assert done.returncode == 0
    assert not (tmp_path / "postgres").exists()


def test_production_starts_nothing_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPERAPP_MODE", "production")
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)

    assert not lifetime.needed().any


@pytest.mark.parametrize(
    ("process", "limits"),
    [
        ("web", ("1500ms", "1s", "5s")),
        ("worker", ("1min", "5s", "1min")),
    ],
)
def test_sessions_carry_the_limits_of_their_process(
    committed_db: TestDatabase, process: str, limits: tuple[str, str, str]
) -> None:
    code = (
        "from django.db import connection; cursor = connection.cursor();"
        "show = lambda name: (cursor.execute('SHOW ' + name), cursor.fetchone()[0])[1];"
        "print([show('statement_timeout'), show('lock_timeout'), show('idle_in_transaction_session_timeout'),"
        " show('role')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=CHECKOUT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "SUPERAPP_PROCESS": process,
            "DATABASE_URL": committed_db.url,
        },
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert done.stdout.strip() == str([*limits, "superapp_site"])


def test_celery_keeps_its_promises() -> None:
    assert settings.CELERY_TASK_ACKS_LATE
    assert settings.CELERY_WORKER_PREFETCH_MULTIPLIER == 1
    assert settings.CELERY_ACCEPT_CONTENT == ["json"]
    assert settings.CELERY_BROKER_TRANSPORT_OPTIONS["visibility_timeout"] > settings.CELERY_TASK_TIME_LIMIT
    assert settings.CELERY_BROKER_CONNECTION_MAX_RETRIES is None
    assert not hasattr(settings, "CELERY_RESULT_BACKEND")
