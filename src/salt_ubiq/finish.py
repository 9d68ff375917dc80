"""
Finishing: what makes a proper image of a build container.

:func:`image_config` says what the image's config is to be, and
:class:`Residue` removes from the container what is there only because Salt and
the package managers worked in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
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

_ADDED = 1  # the engine's kind of change: 0 modified, 1 added, 2 deleted
_SECOND = 1_000_000_000  # the engine counts in nanoseconds


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
        "Healthcheck": _healthcheck(config.healthcheck) or parent.get("Healthcheck"),
        "Shell": parent.get("Shell"),
    }
    return {key: value for key, value in wanted.items() if value}


def _set(names: Iterable[str]) -> dict[str, dict[str, str]]:
    return {name: {} for name in names}


def _healthcheck(check: Healthcheck | None) -> dict[str, Any] | None:
    if check is None:
        return None
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
        "Test": test,
        **{key: int(value * _SECOND) for key, value in times.items() if value},
        **({"Retries": check.retries} if check.retries else {}),
    }


class Residue:
    """
    What a build leaves in its container and nobody wants in the image.

    Only what the build itself added is removed: a parent's files stay as they are.
    """

    def __init__(self, client: BuildClient) -> None:
        self._client = client
        self._salt: frozenset[str] = frozenset()

    def salt_has_run(self) -> None:
        """Remember what Salt wrote; to be called before the first state runs."""
        self._salt = frozenset(self._added(_SALT))

    def remove(self) -> None:
        """Remove caches, and what Salt wrote where no state has added to it."""
        doomed = self._added(_CACHES)
        for directory in _SALT:
            added = self._added((directory,))
            if self._salt.issuperset(added):
                doomed += added
        tops = [path for path in doomed if str(PurePosixPath(path).parent) not in doomed]
        if tops:
            self._client.execute(["rm", "-rf", "--", *tops])

    def _added(self, directories: Iterable[str]) -> list[str]:
        changes = self._client.diff(self._client.name) or ()
        return [
            change["Path"]
            for change in changes
            if change["Kind"] == _ADDED
            and any(PurePosixPath(change["Path"]).is_relative_to(where) for where in directories)
        ]
