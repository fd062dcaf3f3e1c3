"""The embedded engines, started for real in folders of their own, and everything that may have happened to them."""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import redis

from config.engines import EngineError, Home, lifetime, postgres, processes, valkey
from config.engines.binaries import postgres_bin
from config.engines.identity import Identity, engines_identity
from config.engines.lifetime import Needed
from tests.waiting import wait_until

pytestmark = pytest.mark.processes

BOTH = Needed(postgres=True, valkey=True)
POSTGRES_ONLY = Needed(postgres=True, valkey=False)
CHECKOUT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Engines that were made once; tests break and start them again."""
    home = Home(_short(tmp_path_factory.mktemp("engines")) / "l")
    lifetime.ensure_running(home, BOTH)
    yield home
    lifetime.stop(home)
    lifetime.leave(home)
    shutil.rmtree(home.folder.parent, ignore_errors=True)


def _short(folder: Path) -> Path:
    """A folder whose path leaves room for a socket's name and that any user may enter, like most checkouts."""
    short = Path("/tmp") / f"superapp-{os.getpid()}-{folder.name}"  # noqa: S108  made by this test alone
    short.mkdir()
    return short


def _identity(home: Home) -> Identity:
    return engines_identity(home, postgres.program(), valkey.program())


def _has_ended(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _postmaster(home: Home) -> psutil.Process:
    return psutil.Process(int((home.data / "postmaster.pid").read_text().split()[0]))


def _connect(home: Home) -> "psycopg.Connection[Any]":
    return psycopg.connect(home.database_url(), autocommit=True)


def _begin_long_sql(home: Home) -> int:
    """Leaves a backend in SQL that does not look up for a long time; its process id."""
    session = _connect(home)
    pid = session.info.backend_pid

    def work() -> None:
        with suppress(psycopg.Error), session:
            session.execute("SELECT count(*) FROM generate_series(1, 2000000000)")

    threading.Thread(target=work, daemon=True).start()
    with _connect(home) as watcher:
        wait_until(
            lambda: (
                watcher.execute("SELECT state = 'active' FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone()
                == (True,)
            )
        )
    return pid


def test_serves_with_the_promises_of_production(made: Home) -> None:
    with _connect(made) as session:
        found = dict(
            session.execute(
                "SELECT name, setting FROM pg_settings WHERE name IN"
                " ('fsync', 'synchronous_commit', 'full_page_writes', 'data_checksums', 'listen_addresses')"
            ).fetchall()
        )
        role = session.execute("SELECT rolname, rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
        assert session.info.server_version >= 180000

    assert found == {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "data_checksums": "on",
        "listen_addresses": "",
    }
    assert role == ("superapp_owner", False)
    with redis.from_url(made.redis_url(0)) as client:
        assert client.config_get("appendonly") == {"appendonly": "yes"}


def test_lets_nobody_in_without_the_password_and_the_superuser_not_at_all(made: Home) -> None:
    host, port = made.postgres_address
    for user, password in [("superapp_owner", "guess"), ("postgres", made.password)]:
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(host=host, port=port, user=user, password=password, dbname="postgres")


def test_keeps_secrets_and_sockets_from_other_users(made: Home) -> None:
    for path in (made.run, made.data, made.folder / "secrets", made.valkey, made.log):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert stat.S_IMODE((made.folder / "secrets" / "postgres_password").stat().st_mode) == 0o600
    words = (process.info["cmdline"] or () for process in psutil.process_iter(["cmdline"]))  # None: it has just ended
    command_lines = " ".join(word for line in words for word in line)
    assert made.password not in command_lines


def test_a_second_start_finds_them_running(made: Home) -> None:
    lifetime.ensure_running(made, BOTH)
    before = _postmaster(made).pid

    lifetime.ensure_running(made, BOTH)

    assert _postmaster(made).pid == before


def test_comes_back_after_kill_9_of_the_postmaster_with_a_backend_in_long_sql(made: Home) -> None:
    lifetime.ensure_running(made, BOTH)
    with _connect(made) as session:
        session.execute("CREATE TABLE IF NOT EXISTS kept (n int)")
        session.execute("INSERT INTO kept VALUES (1)")
    orphan = _begin_long_sql(made)
    _postmaster(made).send_signal(signal.SIGKILL)
    wait_until(lambda: not postgres.is_ready(made))

    lifetime.ensure_running(made, BOTH)

    assert _has_ended(orphan)
    with _connect(made) as session:
        assert session.execute("SELECT count(*) >= 1 FROM kept").fetchone() == (True,)


def test_comes_back_after_kill_9_of_everything(made: Home) -> None:
    lifetime.ensure_running(made, BOTH)
    identity = _identity(made)
    with redis.from_url(made.redis_url(0)) as client:
        client.set("kept", "yes")
        client.execute_command("WAITAOF", 1, 0, 60_000)
    processes.end(lambda: [*postgres._family(made, identity), *valkey._family(made, identity)])

    lifetime.ensure_running(made, BOTH)

    with redis.from_url(made.redis_url(0)) as client:
        assert client.get("kept") == b"yes"


@pytest.mark.parametrize("left", ["", "1\n", "{a living process}\n/nowhere\n", "garbage"])
def test_comes_back_over_a_half_written_or_reused_pid_file(made: Home, left: str) -> None:
    lifetime.stop(made)
    left = left.replace("{a living process}", str(os.getpid()))
    (made.data / "postmaster.pid").write_text(left)
    (made.run / f".s.PGSQL.{made.postgres_address[1]}.lock").write_text(left)
    _identity(made).own(made.run)
    _identity(made).own(made.data.parent)

    lifetime.ensure_running(made, POSTGRES_ONLY)

    with _connect(made) as session:
        assert session.execute("SELECT 1").fetchone() == (1,)


def test_takes_a_new_password_when_the_old_one_was_removed(made: Home) -> None:
    lifetime.stop(made)
    (made.folder / "secrets" / "postgres_password").unlink()

    lifetime.ensure_running(made, POSTGRES_ONLY)

    with _connect(made) as session:
        assert session.execute("SELECT 1").fetchone() == (1,)


def test_the_last_user_stops_them_and_no_one_before(made: Home) -> None:
    lifetime.stop(made)
    lifetime.leave(made)
    other = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path; from config.engines import Home, ensure_running;"
            "from config.engines.lifetime import Needed;"
            f"ensure_running(Home(Path({str(made.folder)!r})), Needed(True, False)); print('up', flush=True);"
            "sys.stdin.read()",
        ],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == "up\n"
        lifetime.ensure_running(made, POSTGRES_ONLY)

        lifetime.leave(made)
        assert postgres.is_ready(made)

        other.communicate()
    assert not postgres.is_ready(made)
    assert processes.marked(made.tag, program="postgres", uid=_identity(made).uid) == []


def test_a_broken_cluster_is_one_sentence_with_the_reason(made: Home) -> None:
    lifetime.stop(made)
    control = made.data / "global" / "pg_control"
    control.rename(control.with_suffix(".away"))
    try:
        with pytest.raises(EngineError, match=r"PostgreSQL does not start: .*pg_control.*\(see .*postgres.log\)"):
            lifetime.ensure_running(made, POSTGRES_ONLY)
    finally:
        control.with_suffix(".away").rename(control)


def test_two_checkouts_at_once_one_begun_half_and_one_too_deep_for_sockets(tmp_path: Path, made: Home) -> None:
    """Several starts share one initdb for the sake of time; each condition is checked by itself."""
    lifetime.ensure_running(made, BOTH)
    deep = Home(_short(tmp_path) / ("deep" * 20) / ".local")
    half_done = deep.data.with_name("draft-0123456789ab")
    half_done.mkdir(parents=True)
    (half_done / "PG_VERSION").write_text("18\n")
    try:
        lifetime.ensure_running(deep, BOTH)

        assert not half_done.exists()
        assert not deep.uses_sockets
        with _connect(deep) as there, _connect(made) as here:
            paths = [session.execute("SHOW cluster_name").fetchone() for session in (there, here)]
            assert paths == [(deep.tag,), (made.tag,)]
            assert there.execute("SHOW listen_addresses").fetchone() == ("127.0.0.1",)
        with redis.from_url(deep.redis_url(0)) as client:
            assert client.ping()
        with redis.Redis(port=deep.valkey_port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
    finally:
        lifetime.stop(deep)
        lifetime.leave(deep)
        shutil.rmtree(deep.folder.parent.parent, ignore_errors=True)


def test_a_plain_user_runs_engines_of_their_own_and_root_in_a_folder_only_root_may_enter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root: a checkout closed to everyone else, programs and data, serves root; given to `nobody` it serves them."""
    if os.geteuid() != 0:
        home = Home(_short(tmp_path) / "l")
        lifetime.ensure_running(home, POSTGRES_ONLY)
        assert _postmaster(home).uids().real == os.geteuid()
        lifetime.stop(home)
        lifetime.leave(home)
        shutil.rmtree(home.folder.parent)
        return
    closed = _short(tmp_path)
    closed.chmod(0o700)
    wheel = postgres_bin().parent.parent
    programs = closed / wheel.name / "pginstall18"
    shutil.copytree(wheel / "pginstall18", programs)
    shutil.copytree(wheel.with_suffix(".libs"), closed / f"{wheel.name}.libs")
    monkeypatch.setattr(postgres, "postgres_bin", lambda: programs / "bin")
    home = Home(closed / "l")
    try:
        lifetime.ensure_running(home, POSTGRES_ONLY)
        assert _identity(home).search is not None
        assert _postmaster(home).uids().real != 0
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        lifetime.stop(home)
        assert _as_plain_user(home) == pwd.getpwnam("nobody").pw_uid
    finally:
        lifetime.stop(home)
        lifetime.leave(home)
        shutil.rmtree(closed)


def _as_plain_user(home: Home) -> int:
    """Gives the folder to `nobody`, who starts there, through the same functions; whose the postmaster then is."""
    nobody = pwd.getpwnam("nobody")
    for path in (home.folder.parent, *home.folder.parent.rglob("*")):
        os.chown(path, nobody.pw_uid, nobody.pw_gid, follow_symlinks=False)
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(nobody.pw_gid)
            os.setuid(nobody.pw_uid)
            lifetime._uses.clear()
            identity = _PlainUser(user=None, search=None)
            postgres.ensure(home, identity)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    return int(_postmaster(home).uids().real)


class _PlainUser(Identity):
    """Starts programs by the system's own interpreter: the one of this checkout may lie where nobody may enter."""

    def _command(self, argv: Sequence[str | Path], *, log: Path | None = None, probe: Path | None = None) -> list[str]:
        return ["/usr/bin/env", "python3", *super()._command(argv, log=log, probe=probe)[1:]]


def test_somebody_elses_folder_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    home = Home(tmp_path / "l")
    home.run.mkdir(parents=True)
    with pytest.raises(EngineError, match="belongs to another user"):
        engines_identity(home, postgres.program())
