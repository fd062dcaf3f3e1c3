"""A proxy between the site and PostgreSQL that can lose the answer to one COMMIT, or the COMMIT itself.

It follows the wire protocol (version 3) as far as it must: messages are a type, a length and a body; `Q`, `P` and `B`
tell which statements a transaction is made of, `C` with the tag COMMIT that the server has made it durable, `Z` that it
waits again.

| orders to it | what the site sees | what the database has |
|---|---|---|
| `lose_answers` | the connection ends instead of the answer to COMMIT | the transaction, whole |
| `lose_commits` | the connection ends instead of the answer to COMMIT | nothing of it |
| `stall` | nothing at all, until `flow` | whatever it had begun |
| `stall_inside` | the same, from within a transaction on | a session that idles in its transaction |
"""

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from config.engines.home import SOCKET_PORT

LENGTH = struct.Struct("!i")

Look = Callable[[bytes, bytes], bool]
"""Is shown a message's type and body; whether it may pass."""


@dataclass
class Orders:
    """What to break next: so many transactions that mention the words; `cut` counts those that were broken."""

    words: str = ""
    answers: int = 0
    commits: int = 0
    stalls: int = 0
    cut: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, what: str, said: str) -> bool:
        """Whether this transaction is to be broken in that way; then one less remains."""
        with self.lock:
            left: int = getattr(self, what)
            if not left or self.words not in said:
                return False
            setattr(self, what, left - 1)
            self.cut += 1
            return True


class Proxy:
    """Listens on a socket of its own in `folder`, in front of the server whose socket is in `server`."""

    def __init__(self, folder: Path, *, server: Path) -> None:
        folder.mkdir()
        name = f".s.PGSQL.{SOCKET_PORT}"
        self.folder, self.server = folder, server / name
        self.orders = Orders()
        self.flowing = threading.Event()
        self.flowing.set()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(folder / name))
        self.listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def lose_answers(self, times: int, *, words: str) -> None:
        """The next transactions whose statements mention the words: committed, and nobody hears of it."""
        self.orders = Orders(words=words, answers=times)

    def lose_commits(self, times: int, *, words: str) -> None:
        """The next transactions whose statements mention the words: their COMMIT never arrives."""
        self.orders = Orders(words=words, commits=times)

    def stall_inside(self, *, words: str) -> None:
        """Nothing passes any more once a transaction has mentioned the words, and waits for what is said next."""
        self.orders = Orders(words=words, stalls=1)

    def heal(self) -> None:
        """Everything passes, whatever was ordered before."""
        self.orders = Orders()
        self.flow()

    def stall(self) -> None:
        """Nothing passes any more, in either direction."""
        self.flowing.clear()

    def flow(self) -> None:
        """Everything passes again."""
        self.flowing.set()

    def close(self) -> None:
        """Takes no more callers."""
        self.flow()
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self) -> None:
        while True:
            try:
                site, _ = self.listener.accept()
            except OSError:
                return
            upstream = socket.socket(socket.AF_UNIX)
            try:
                upstream.connect(str(self.server))
            except OSError:
                site.close()
                upstream.close()
                continue
            _Session(self, site, upstream)


class _Session:
    """One connection, followed in both directions by a thread each."""

    def __init__(self, proxy: Proxy, site: socket.socket, server: socket.socket) -> None:
        self.proxy, self.site, self.server = proxy, site, server
        self.prepared: dict[bytes, str] = {}
        self.transaction = ""
        """What has been said since the last transaction ended."""
        threading.Thread(target=self._follow, args=(site, server, self._from_site, False), daemon=True).start()
        threading.Thread(target=self._follow, args=(server, site, self._from_server, True), daemon=True).start()

    def _follow(self, source: socket.socket, target: socket.socket, look: Look, typed: bool) -> None:
        held = b""
        with suppress(OSError):
            while part := source.recv(65_536):
                self.proxy.flowing.wait()
                held += part
                passed = 0
                while (size := _size(held, passed, typed)) and passed + size <= len(held):
                    if typed and not look(held[passed : passed + 1], held[passed + 5 : passed + size]):
                        raise ConnectionAbortedError
                    passed += size
                    typed = True
                target.sendall(held[:passed])
                held = held[passed:]
        self._end()

    def _end(self) -> None:
        for end in (self.site, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _from_site(self, kind: bytes, body: bytes) -> bool:
        statement = ""
        if kind == b"P":
            name, text, _ = body.split(b"\0", 2)
            self.prepared[name] = text.decode(errors="replace")
        elif kind == b"B":
            statement = self.prepared.get(body.split(b"\0", 2)[1], "")
        elif kind == b"Q":
            statement = body[:-1].decode(errors="replace")
        if statement.strip().upper().startswith("COMMIT"):
            return not self.proxy.orders.take("commits", self.transaction)
        self.transaction += statement + "\n" if statement else ""
        return True

    def _from_server(self, kind: bytes, body: bytes) -> bool:
        if kind == b"C" and body == b"COMMIT\0":
            return not self.proxy.orders.take("answers", self.transaction)
        if kind == b"Z" and body == b"T" and self.proxy.orders.take("stalls", self.transaction):
            self.proxy.stall()
        if kind == b"Z" and body == b"I":
            self.transaction = ""
        return True


def _size(held: bytes, start: int, typed: bool) -> int:
    """How long the message that begins there is, with its type; 0 while its length has not all come."""
    begin = start + 1 if typed else start
    if len(held) < begin + LENGTH.size:
        return 0
    length: int = LENGTH.unpack_from(held, begin)[0]
    return length + (1 if typed else 0)
