"""
Files and directories that are for their owner alone: all that a host keeps of builds.

There is one way to write them, in one piece or not at all, never through a link, and one way to
read them: what can't be read is as if it weren't there.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from salt_ubiq.catalogue.references import image_id
from salt_ubiq.errors import WorkspaceError

_FILE, _DIRECTORY = 0o600, 0o700
_OTHERS = 0o077


def private_directory(path: Path) -> Path:
    """
    Make a directory unless it is there, and return it.

    One that others could look into is closed, with all that is in there.
    """
    path.mkdir(mode=_DIRECTORY, parents=True, exist_ok=True)
    if _is_open(path):
        for below in path.rglob("*"):
            with suppress(OSError):  # another process removes it, or it is somebody else's
                if not below.is_symlink() and _is_open(below):
                    below.chmod(_mode(below) & ~_OTHERS)
        with suppress(PermissionError):
            path.chmod(_DIRECTORY)
    return path


def opened(path: Path, mode: str, **how: Any) -> IO[Any]:
    """
    Open a file for writing; others can't read it, even if they could before.

    Raises :class:`WorkspaceError` where something else is in its place.
    """
    try:
        return open(path, mode, opener=_opener, **how)
    except OSError as exc:
        if exc.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise WorkspaceError(f"{path} has to be a file, and is none: remove it") from None
        raise


def write(path: Path, text: str) -> None:
    """Write a file in one piece or not at all, even if the machine dies."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with opened(new, "w") as handle:
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        if path.is_dir() and not path.is_symlink():  # nobody but us has anything to put here
            shutil.rmtree(path)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def read(path: Path) -> str | None:
    """What a file has in it, ``None`` where it is not there, or is no text."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, encoding="utf-8") as handle:
            return handle.read()
    except (OSError, ValueError):
        return None


def file_name(name: str) -> str:
    """What a file is called that is of something of that name, such as a reference."""
    return name.replace(os.sep, "_")


def keep_of_images(directory: Path, image_ids: Collection[str]) -> None:
    """
    Remove the files of all other images.

    directory
        with files that are named after the digits of an image's ID, and what follows a ``-``
    """
    for path in directory.iterdir():
        if image_id(path.name.lstrip(".").partition("-")[0]) not in image_ids:
            path.unlink(missing_ok=True)


def _opener(name: str, flags: int) -> int:
    # O_NONBLOCK: where somebody has put a pipe, nobody may ever read it.
    descriptor = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, _FILE)
    if stat.S_IMODE(os.fstat(descriptor).st_mode) & _OTHERS:
        os.fchmod(descriptor, _FILE)
    return descriptor


def _is_open(path: Path) -> bool:
    return bool(_mode(path) & _OTHERS)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)
