"""
What an engine for tests alone begins with: Debian, the tests' base and the Salt runtime.

They are made once, and saved for all processes and the rest of the week, or until what they are
made by changes: they take minutes, and less than a second to have again.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from tests.support.dockerd import Dockerd
from tests.support.own_host import DATA
from tests.support.repository import REPOSITORY

_MADE_BY = (
    "_docker/debian-python",
    "src/salt_ubiq/containers/runtime.py",
    "src/salt_ubiq/containers/runtime_contents.py",
    "src/salt_ubiq/containers/thin.py",
    "src/salt_ubiq/engine/bootstrap.py",
    "src/salt_ubiq/inside",
    "tests/support/first_images.py",
)
_WEEK = 7 * 24 * 3600


def start(engine: Dockerd, saved: Path, make: Callable[[], None]) -> None:
    """
    Start an engine that has them.

    saved
        the directory for what is saved

    make
        makes them on an engine that was just started
    """
    archive = saved / f"{_digest()}.tar"
    with FileLock(saved / "lock"):
        if not archive.exists():
            engine.start()
            make()
            engine.stop()
            for old in saved.glob("*.tar"):
                old.unlink()
            half = archive.with_suffix(".half")
            _tar("--create", half, ".")
            half.rename(archive)
        else:
            _tar("--extract", archive)
    engine.start()


def _tar(how: str, archive: Path, *what: str) -> None:
    attributes = ("--xattrs", "--xattrs-include=*", "--numeric-owner", "--sparse")
    subprocess.run(["tar", how, f"--file={archive}", *attributes, f"-C{DATA}", *what], check=True)


def _digest() -> str:
    digest = hashlib.sha256(f"{sys.version} {time.time() // _WEEK:.0f}".encode())
    for name in ("salt", "saltext.dockermod"):
        digest.update(importlib.metadata.version(name).encode())
    for place in _MADE_BY:
        path = REPOSITORY / place
        for each in sorted([path, *path.rglob("*")]):
            if each.is_file() and each.suffix != ".pyc":
                digest.update(f"{each.relative_to(REPOSITORY)}\n".encode() + each.read_bytes())
    return digest.hexdigest()[:16]
