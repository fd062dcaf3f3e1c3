"""Starts one server program; run by path, before anything else of this project is imported.

    python launch.py '{"argv": [...], "user": [uid, gid] | null, "search": capability | null,
                       "log": path | null, "probe": folder | null}'

PostgreSQL refuses to run as root, so root gives up its identity here. A checkout under a folder that the new identity may
not enter (`/root`, mode 0700) is reached by keeping one capability, the right to search folders, rather than by
changing the folder. With `log` the program becomes a daemon: nobody's child, in a session of its own, so that neither
Ctrl-C in a terminal nor the end of the starter reaches it.
"""

import contextlib
import ctypes
import json
import os
import sys
from typing import Any

PR_SET_SECUREBITS = 28
SECBIT_NO_SETUID_FIXUP = 4
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAPABILITY_VERSION_3 = 0x20080522


def _capset(libc: ctypes.CDLL, capability: int) -> bool:
    """Narrows this process to `capability` alone; False where the kernel does not grant it."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    bits = 1 << capability
    data = (ctypes.c_uint32 * 6)(bits, bits, bits, 0, 0, 0)
    if libc.capset(ctypes.byref(header), ctypes.byref(data)) != 0:
        return False
    return bool(libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) == 0)


def become(uid: int, gid: int, *, search: int | None) -> None:
    """Gives up root for good; the one capability `search` stays, also across exec. Raises OSError when refused."""
    libc = ctypes.CDLL(None, use_errno=True)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    # Without this bit the change of user drops the capability, and access(), which PostgreSQL asks, ignores it.
    if search is not None and libc.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0) != 0:
        raise PermissionError("the right to pass folders cannot be kept")
    os.setresuid(uid, uid, uid)
    if search is not None and not _capset(libc, search):
        raise PermissionError("the right to pass folders is not granted")


def detach(log: str, owner: list[int] | None) -> int:
    """Becomes a daemon that writes to `log`; a descriptor where to say why, should the program not start.

    The starter is told only when the program has really been started: exec closes the descriptor.
    """
    hear, say = os.pipe()
    if os.fork():
        os.close(say)
        with os.fdopen(hear) as voice:
            sys.exit(voice.read() or 0)
    os.close(hear)
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    if owner:
        os.fchown(output, *owner)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    return say


def launch(order: dict[str, Any]) -> None:
    """Takes the identity and becomes the program. Raises OSError."""
    os.umask(0o077)
    if order["user"]:
        become(*order["user"], search=order["search"])
    if order["probe"]:
        os.stat(os.path.join(order["probe"], "."))
    with contextlib.suppress(OSError):
        os.chdir("/")
    os.execve(  # noqa: S606  a shell would do nothing here
        order["argv"][0], order["argv"], {"LC_ALL": "C", "PATH": os.defpath, "TZ": "UTC"}
    )


def main() -> None:
    """Does what the one argument says."""
    order = json.loads(sys.argv[1])
    say = detach(order["log"], order["user"]) if order["log"] else 2
    try:
        launch(order)
    except OSError as fault:
        os.write(say, str(fault).encode())
        os._exit(1)


if __name__ == "__main__":
    main()
