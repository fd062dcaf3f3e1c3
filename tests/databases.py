"""Databases for tests: a template is migrated once for each state of the migrations, and cloned.

Cloning instead of flushing keeps the ledger's triggers in force (a TRUNCATE would fire them), and lets tests commit with
many connections. Everything is made by the owner; what runs in it runs as the site's role, like the product.
"""

import hashlib
import itertools
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import connection, connections
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.waiting import wait_until

CHECKOUT = Path(__file__).resolve().parent.parent
PREFIX = "superapp_test_"
BUILDING_LOCK = 0x7E57
FORGOTTEN_AFTER = timedelta(hours=12)

_numbers = itertools.count(1)


@dataclass(frozen=True)
class TestDatabase:
    """A database of its own for one test, or one run of tests."""

    __test__ = False

    name: str
    url: str
    """For another process: its DATABASE_URL."""


@contextmanager
def cloned() -> Iterator[TestDatabase]:
    """A fresh clone of the template, which `connections["default"]` of every thread leads to; dropped afterwards."""
    with _maintenance() as server:
        template = _template(server)
        name = f"{PREFIX}{os.getpid()}_{next(_numbers)}"
        _create(server, name, template)
    before = _point_to(name)
    try:
        yield TestDatabase(name=name, url=_url(name))
    finally:
        connections.close_all()
        _point_to(before)
        with _maintenance() as server:
            _drop(server, name)


def _drop(server: "psycopg.Connection[Any]", name: str) -> None:
    """Drops a database and ends its sessions; one in which autovacuum is at work, which only it may end, after that."""

    def dropped() -> bool:
        try:
            server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        except psycopg.errors.InsufficientPrivilege:
            return False
        return True

    wait_until(dropped, what=f"the end of autovacuum in {name}")


def _template(server: "psycopg.Connection[Any]") -> str:
    """The template for the migrations as they stand; made first where it is missing, by one process at a time."""
    name = f"{PREFIX}template_{_migrations_hash()}"
    server.execute("SELECT pg_advisory_lock(%s)", [BUILDING_LOCK])
    try:
        if server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
            _drop_forgotten(server)
            _build(server, name)
    finally:
        server.execute("SELECT pg_advisory_unlock(%s)", [BUILDING_LOCK])
    return name


def _build(server: "psycopg.Connection[Any]", name: str) -> None:
    draft = f"{PREFIX}draft_{os.getpid()}"
    server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(draft)))
    _create(server, draft, "template1")
    before = _point_to(draft)
    try:
        call_command("migrate", verbosity=0, interactive=False)
    finally:
        connection.close()
        _point_to(before)
    server.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(draft), sql.Identifier(name)))


def _create(server: "psycopg.Connection[Any]", name: str, template: str) -> None:
    server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
    server.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(name), datetime.now(UTC).isoformat()))


def _drop_forgotten(server: "psycopg.Connection[Any]") -> None:
    """What earlier runs left: templates of migrations that have changed, databases of runs that were killed."""
    found = server.execute(
        "SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database WHERE starts_with(datname, %s)",
        [PREFIX],
    ).fetchall()
    for name, made_at in found:
        if made_at is None or datetime.fromisoformat(made_at) < datetime.now(UTC) - FORGOTTEN_AFTER:
            with suppress(psycopg.errors.ObjectInUse):
                server.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))


def _migrations_hash() -> str:
    """Changes with any migration, SQL file beside one, pinned dependency, or what is granted beforehand."""
    digest = hashlib.sha256((CHECKOUT / "requirements" / "runtime.txt").read_bytes())
    digest.update((CHECKOUT / "superapp" / "roles.py").read_bytes())
    for app in ("superapp", "wallet", "payments", "funds"):
        for path in sorted((CHECKOUT / app).rglob("*")):
            if path.suffix == ".sql" or (path.suffix == ".py" and path.parent.name == "migrations"):
                digest.update(str(path.relative_to(CHECKOUT)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


@contextmanager
def led_to(url: str | None) -> Iterator[None]:
    """In the block the alias `default` leads, in every thread, to the database of the URL; None: to where it led at first."""
    keys = {"NAME": "dbname", "HOST": "host", "PORT": "port", "USER": "user", "PASSWORD": "password"}
    before = {key: connections.settings["default"][key] for key in keys}
    embedded = settings.EMBEDDED_POSTGRES
    if url:
        said = conninfo_to_dict(url)
        _at_first.update(before | {"EMBEDDED": embedded})
        _lead({key: str(said[word]) for key, word in keys.items()}, embedded=False)
    else:
        _lead({key: _at_first[key] for key in keys}, embedded=_at_first["EMBEDDED"])
    try:
        yield
    finally:
        _lead(before, embedded=embedded)


_at_first: dict[str, Any] = {}


def _lead(to: Mapping[str, Any], *, embedded: bool) -> None:
    connections.close_all()
    settings.EMBEDDED_POSTGRES = embedded
    connections.settings["default"].update(to)
    connection.settings_dict.update(to)


def _point_to(name: str) -> str:
    """Leads the alias `default`, in every thread, to another database; the name of the one before."""
    connection.close()
    default = connections.settings["default"]
    before: str = default["NAME"]
    default["NAME"] = connection.settings_dict["NAME"] = name
    return before


_home_name: list[str] = []


def _maintenance() -> "psycopg.Connection[Any]":
    """A session of the owner in the database that the settings name, where databases are made from."""
    return psycopg.connect(_conninfo(_settings_name()), autocommit=True)


def _settings_name() -> str:
    if not _home_name:
        _home_name.append(str(connection.settings_dict["NAME"]))
    return _home_name[0]


def _parameters() -> dict[str, Any]:
    ours = {
        "context",
        "cursor_factory",
        "prepare_threshold",
        "client_encoding",
        "options",
        "dbname",
        "application_name",
    }
    return {key: value for key, value in connection.get_connection_params().items() if key not in ours}


def _conninfo(name: str) -> str:
    return make_conninfo(dbname=name, **_parameters())


def _url(name: str) -> str:
    parameters = _parameters()
    user, password = quote(parameters.pop("user", "")), quote(parameters.pop("password", ""), safe="")
    rest = "&".join(f"{key}={quote(str(value), safe='')}" for key, value in parameters.items())
    return f"postgresql://{user}:{password}@/{name}?{rest}"
