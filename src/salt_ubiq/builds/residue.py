"""
What is in a build container only because Salt and the package managers worked in it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from importlib.resources import files

from salt_ubiq.containers.client import BuildClient

# What package managers keep and can fetch again.
_CACHES = (
    "/var/cache/apt",
    "/var/lib/apt/lists",
    "/var/cache/dnf",
    "/var/cache/yum",
    "/var/cache/zypp",
    "/var/cache/apk",
    "/root/.cache/pip",
    "/root/.npm/_cacache",
)
# Where they work, and leave nothing of worth.
_TEMPORARY = ("/var/cache/debconf/tmp.ci",)
# Where Salt writes when it has no config of its own in the container.
_SALT = ("/etc/salt", "/var/cache/salt", "/var/log/salt", "/var/run/salt", "/run/salt")

_SWEEP = files("salt_ubiq.inside").joinpath("sweep.py").read_text()
_AS_NAMES = ("utf-8", "surrogateescape")


@dataclass(frozen=True)
class Residue:
    """
    What is in a container before any state has run. Names that are no UTF-8 have their
    bytes as Python's own functions for files have them.

    cached
        what is there in the parent of package managers' caches, and of Salt's directories

    salt
        what Salt adds to these just by running
    """

    cached: tuple[str, ...]
    salt: tuple[str, ...]

    @classmethod
    def between(cls, before: Collection[str], after: Collection[str]) -> Residue:
        """What :func:`swept` has found in a container of the parent before and after Salt ran."""
        return cls(tuple(before), tuple({*after}.difference(before)))

    def remove(self, client: BuildClient) -> None:
        """
        Remove what has been added to it from a container in which states ran.

        Salt's own is removed but for directories to which a state has added. What is in
        other mounts is left alone: it is not the image's.

        Raises :class:`~salt_ubiq.errors.BuildError`.
        """
        kept = {*self.cached, *_CACHES}
        doomed = [*_CACHES, *_TEMPORARY]
        for directory in _SALT if self.salt else ():
            added = {*swept(client, (directory,))} - kept
            if added.issubset(self.salt):
                doomed.append(directory)
        given = b"".join(path.encode(*_AS_NAMES) + b"\0" for path in sorted(kept))
        client.python(_SWEEP, "remove", str(len(given)), *doomed, given=given)


def swept(
    client: BuildClient, directories: Iterable[str] = (*_CACHES, *_TEMPORARY, *_SALT)
) -> tuple[str, ...]:
    """The paths at and below directories, those in other mounts left out."""
    printed = client.python(_SWEEP, "list", *directories)
    return tuple(path.decode(*_AS_NAMES) for path in printed.split(b"\0") if path)
