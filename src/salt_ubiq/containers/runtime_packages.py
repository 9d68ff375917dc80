"""
Python packages that states need, for the runtime's Python: this host's pip fetches them, with its
settings, its index and its proxy.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from salt_ubiq.catalogue.models import KEY
from salt_ubiq.errors import BuildError

ASK_KIND = files("salt_ubiq.inside").joinpath("python_kind.py").read_text()
"""The text of a Python script that prints its Python's kind, see :meth:`PythonKind.read`."""

_PLACE = f"{KEY}:runtime:pip"
# The glibc of the oldest wheels, and what wheels for old ones are called besides.
_OLDEST = 5
_OLD_NAMES = ("manylinux2014", "manylinux2010", "manylinux1", "linux")


@dataclass(frozen=True)
class PythonKind:
    """
    version
        as ``3.11``

    machine
        as ``x86_64``

    glibc
        its version, as ``2.36``; empty where the C library is another
    """

    version: str
    machine: str
    glibc: str

    @classmethod
    def read(cls, printed: str) -> PythonKind:
        """What :data:`ASK_KIND` has printed; raises :class:`~salt_ubiq.errors.BuildError`."""
        try:
            return cls(**json.loads(printed))
        except (ValueError, TypeError):
            raise BuildError(
                f"{_PLACE}: no telling what the runtime's Python is: {printed}"
            ) from None

    @classmethod
    def of_this_host(cls) -> PythonKind:
        """That of the Python which this process runs in."""
        asked = [sys.executable, "-c", ASK_KIND]
        return cls.read(subprocess.run(asked, capture_output=True, text=True, check=False).stdout)

    @property
    def platforms(self) -> list[str]:
        """The platforms of which it takes packages in C, as wheels name them; the best first."""
        if not self.glibc:
            return [f"linux_{self.machine}"]
        newest = int(self.glibc.split(".")[1])
        names = [f"manylinux_2_{minor}" for minor in range(newest, _OLDEST - 1, -1)]
        return [f"{name}_{self.machine}" for name in (*names, *_OLD_NAMES)]


def fetched(packages: Sequence[str], kind: PythonKind) -> bytes:
    """
    A tar of what pip installs of packages, and of what they require.

    packages
        as pip takes them

    kind
        the Python that they are for

    Raises :class:`~salt_ubiq.errors.BuildError`.
    """
    with tempfile.TemporaryDirectory(prefix="ubiq-pip-") as directory:
        done = subprocess.run(
            _command(packages, kind, directory),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode:
            python = f"Python {kind.version} on {kind.machine}"
            raise BuildError(f"{_PLACE}: pip can't fetch wheels for {python}: {_why(done.stderr)}")
        return tar_of(directory)


def tar_of(directory: str) -> bytes:
    """A tar of what is in a directory, as root's."""
    with io.BytesIO() as buffer:
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            tar.add(directory, arcname=".", filter=_owned_by_root)
        return buffer.getvalue()


def _command(packages: Sequence[str], kind: PythonKind, directory: str) -> list[str]:
    return [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-input"),
        *("--disable-pip-version-check", "--no-compile", "--no-user", "--target", directory),
        *("--only-binary=:all:", "--implementation=cp", f"--python-version={kind.version}"),
        *(f"--platform={platform}" for platform in kind.platforms),
        *("--", *packages),
    ]


def _why(stderr: str) -> str:
    """The last line by which pip says what went wrong."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")] or lines or ["it does not say"]
    return errors[-1].removeprefix("ERROR:").strip()


def _owned_by_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member
