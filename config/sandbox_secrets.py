"""Secrets of a sandbox: made at first use, kept beside the embedded engines, readable by their owner only."""

import os
import secrets
from contextlib import suppress
from pathlib import Path


def kept_secret(folder: Path, name: str) -> str:
    """The secret `name` from `folder`; several processes that start at once agree on one value.

    Raises SystemExit with one sentence when the folder belongs to somebody else.
    """
    path = folder / name.lower()
    try:
        return path.read_text()
    except FileNotFoundError:
        pass
    except PermissionError as fault:
        raise SystemExit(f"{path} belongs to another user: run as that user, or in a checkout of your own.") from fault
    try:
        make_folder(folder)
        draft = folder / f".{path.name}.{os.getpid()}"
        draft.write_text(secrets.token_urlsafe(48))
        draft.chmod(0o600)
        give_to_owner(draft, like=folder)
    except OSError as fault:
        raise SystemExit(f"{folder} cannot be written: {fault.strerror}.") from fault
    with suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()
    return path.read_text()


def make_folder(folder: Path, mode: int = 0o700) -> None:
    """Makes the folder and its parents. What root makes in another user's checkout belongs to that user."""
    if folder.is_dir():
        return
    make_folder(folder.parent, 0o755)
    with suppress(FileExistsError):
        folder.mkdir(mode=mode)
        give_to_owner(folder, like=folder.parent)


def give_to_owner(path: Path, *, like: Path) -> None:
    """As root: hands `path` to the owner of `like`."""
    if os.geteuid() == 0:
        owner = like.stat()
        os.chown(path, owner.st_uid, owner.st_gid)
