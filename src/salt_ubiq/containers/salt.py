"""
How Salt gets into the containers of builds: in the runtime's volume or, where the catalogue wants
none, copied by ``docker.call`` to run with each image's own Python.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from salt_ubiq.catalogue.models import Runtime
from salt_ubiq.containers.client import MountedSalt, Surroundings
from salt_ubiq.containers.runtime import MOUNT, RuntimeVolume
from salt_ubiq.containers.session import NOTHING
from salt_ubiq.containers.thin import Thin
from salt_ubiq.engine.client import Engine
from salt_ubiq.engine.label_keys import LABEL
from salt_ubiq.workspace.slots import Slot, Workspace

CACHE_NAME = "cache-of-"
"""What the names of the volumes begin with that have what package managers fetched."""

# All mounts of a build are below /dev, a tmpfs in every container: a mount point
# elsewhere would stay in the image.
_SCRATCH = "/dev/salt-ubiq/scratch"
_CACHE = "/dev/salt-ubiq/cache"


@dataclass(frozen=True)
class SaltInContainer:
    """
    surroundings
        what the container is to have for Salt to run in it

    prepare
        sees to it that what they name is there, before the container starts
    """

    surroundings: Surroundings
    prepare: Callable[[], None]


class SaltForBuilds:
    """
    The Salt of all containers of builds on an engine.

    source
        where the runtime comes from, ``None`` for no runtime
    """

    def __init__(
        self, source: Runtime | None, engine: Engine, workspace: Workspace, thin: Thin
    ) -> None:
        self._source = source
        self._engine = engine
        self._workspace = workspace
        self._thin = thin

    @cached_property
    def runtime(self) -> RuntimeVolume | None:
        """The runtime's volume, made or not; ``None`` where the catalogue wants none."""
        if self._source is None:
            return None
        return RuntimeVolume(self._source, self._engine, self._workspace, self._thin)

    def provide(self) -> None:
        """See to it that the runtime is there before a build asks for it."""
        if self.runtime:
            self.runtime.ensure()

    def in_slot(
        self, slot: Slot, environment: Mapping[str, str] = NOTHING, package_cache: bool = False
    ) -> SaltInContainer:
        """
        Salt in a container of a build in that slot.

        environment
            of the commands that run there

        package_cache
            whether package managers keep there what they have fetched
        """
        cache = f"{CACHE_NAME}{slot.name}" if self.runtime and package_cache else None
        return SaltInContainer(
            _surroundings(self.runtime, cache, environment), partial(self._prepare, slot, cache)
        )

    def _prepare(self, slot: Slot, cache: str | None) -> None:
        if self.runtime is None:
            self._thin.provide_whole(slot)
            return
        self._thin.provide_none(slot)
        self.runtime.ensure()
        if cache:
            self._engine.volumes.create(cache, {f"{LABEL}.kind": "cache"})


def _surroundings(
    volume: RuntimeVolume | None, cache: str | None, environment: Mapping[str, str]
) -> Surroundings:
    """
    What a build container has with a runtime, and without.

    volume
        the runtime's, ``None`` for none

    cache
        the volume for what package managers fetch, ``None`` for none

    environment
        the catalogue's
    """
    if volume is None:
        return Surroundings(environment=environment)
    mounts: list[dict[str, Any]] = [
        {"Type": "volume", "Source": volume.name, "Target": MOUNT, "ReadOnly": True},
        {"Type": "volume", "Target": _SCRATCH},  # anonymous: removed with the container
    ]
    caching = {}
    if cache:
        mounts.append({"Type": "volume", "Source": cache, "Target": _CACHE})
        caching = {
            "APT_CONFIG": f"{MOUNT}/apt.conf",
            "PIP_CACHE_DIR": f"{_CACHE}/pip",
            "npm_config_cache": f"{_CACHE}/npm",
        }
    return Surroundings(
        mounts=tuple(mounts),
        environment={**caching, **environment},
        runtime=MountedSalt(
            volume=volume.name,
            command=(f"{MOUNT}/bin/python3", f"{MOUNT}/salt_call.py"),
            scratch=_SCRATCH,
            pip=volume.pip,
        ),
    )
