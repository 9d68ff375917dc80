"""
The config that an image gets: its parent's and the catalogue's, key by key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from salt_ubiq.catalogue.models import Healthcheck, ImageConfig

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
