"""
Finishing: what makes a proper image of a build container.

:func:`image_config` says what the image's config is to be, and
:class:`Residue` takes out of the container what is there only because
Salt and the package managers worked in it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from salt_ubiq.catalogue import Healthcheck, ImageConfig
from salt_ubiq.container import BuildClient

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
# Where Salt writes when it has no config of its own in the container.
_SALT = ("/etc/salt", "/var/cache/salt", "/var/log/salt", "/var/run/salt", "/run/salt")

_SWEEP = files("salt_ubiq.runtime_volume").joinpath("sweep.py").read_text()
_AS_NAMES = ("utf-8", "surrogateescape")
_SECOND = 1_000_000_000  # the engine counts in nanoseconds
# The engine's own, where nothing is said; for it, the least start period is none.
_ENGINES_HEALTHCHECK = {
    "Interval": 30 * _SECOND,
    "Timeout": 30 * _SECOND,
    "StartPeriod": _SECOND // 1000,
    "StartInterval": 5 * _SECOND,
    "Retries": 3,
}


def image_config(
    config: ImageConfig, parent: Mapping[str, Any], labels: Mapping[str, str]
) -> dict[str, Any]:
    """
    The config to commit: the catalogue's where it says something, else the parent's.

    config
        what the catalogue declares

    parent
        the parent's config, as the engine spells it

    labels
        the image's labels that are ours

    As in a Dockerfile, an entrypoint of one's own drops the parent's command.
    """
    entrypoint: list[str] | None
    inherited: list[str] | None
    if config.entrypoint is not None:
        entrypoint, inherited = list(config.entrypoint), None
    else:
        entrypoint, inherited = parent.get("Entrypoint"), parent.get("Cmd")
    cmd = list(config.cmd) if config.cmd is not None else inherited
    env = dict(item.partition("=")[::2] for item in parent.get("Env") or ()) | config.env
    wanted = {
        "Entrypoint": entrypoint or None,
        "Cmd": cmd or None,
        "Env": [f"{key}={value}" for key, value in env.items()],
        "ExposedPorts": {**(parent.get("ExposedPorts") or {}), **_set(config.exposed_ports)},
        "Volumes": {**(parent.get("Volumes") or {}), **_set(config.volumes)},
        "User": config.user or parent.get("User"),
        "WorkingDir": config.working_dir or parent.get("WorkingDir"),
        "Labels": {**(parent.get("Labels") or {}), **config.labels, **labels},
        "StopSignal": config.stop_signal or parent.get("StopSignal"),
        "Healthcheck": _healthcheck(config.healthcheck, parent.get("Healthcheck") or {}),
        "Shell": parent.get("Shell"),
    }
    return {key: value for key, value in wanted.items() if value}


def _set(names: Iterable[str]) -> dict[str, dict[str, str]]:
    return {name: {} for name in names}


def _healthcheck(check: Healthcheck | None, parents: Mapping[str, Any]) -> Mapping[str, Any]:
    if check is None:
        return parents
    test = list(check.test)
    if test[:2] == ["/bin/sh", "-c"]:
        test = ["CMD-SHELL", test[2]]
    elif test[0] not in ("CMD", "CMD-SHELL", "NONE"):
        test = ["CMD", *test]
    times = {
        "Interval": check.interval,
        "Timeout": check.timeout,
        "StartPeriod": check.start_period,
    }
    return {
        # What isn't said, committing would take from the parent's.
        **{key: value for key, value in _ENGINES_HEALTHCHECK.items() if parents.get(key)},
        "Test": test,
        **{key: int(value * _SECOND) for key, value in times.items() if value},
        **({"Retries": check.retries} if check.retries else {}),
    }


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
        doomed = list(_CACHES)
        for directory in _SALT if self.salt else ():
            added = {*swept(client, (directory,))} - kept
            if added.issubset(self.salt):
                doomed.append(directory)
        given = b"".join(path.encode(*_AS_NAMES) + b"\0" for path in sorted(kept))
        client.python(_SWEEP, "remove", str(len(given)), *doomed, given=given)


def swept(client: BuildClient, directories: Iterable[str] = (*_CACHES, *_SALT)) -> tuple[str, ...]:
    """The paths at and below directories, those in other mounts left out."""
    printed = client.python(_SWEEP, "list", *directories)
    return tuple(path.decode(*_AS_NAMES) for path in printed.split(b"\0") if path)
