"""
Files and directories that are for their owner alone: all that a host keeps of builds.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

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
    """Open a file for writing; others can't read it, even if they could before."""
    return open(path, mode, opener=_opener, **how)


def write(path: Path, text: str) -> None:
    """Write a file in one piece or not at all, even if the machine dies."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with opened(new, "w") as handle:
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def _opener(name: str, flags: int) -> int:
    descriptor = os.open(name, flags, _FILE)
    if stat.S_IMODE(os.fstat(descriptor).st_mode) & _OTHERS:
        os.fchmod(descriptor, _FILE)
    return descriptor


def _is_open(path: Path) -> bool:
    return bool(_mode(path) & _OTHERS)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)
