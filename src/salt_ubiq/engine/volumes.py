"""
The volumes of an engine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import docker
import docker.errors

from salt_ubiq.engine.failures import translated

_NOT_FOUND, _CONFLICT = 404, 409


class Volumes:
    """What is asked of an engine about volumes, see :class:`~salt_ubiq.engine.client.Engine`."""

    def __init__(self, client: docker.APIClient) -> None:
        self._client = client

    def find(self, name: str) -> dict[str, Any] | None:
        """Return the engine's account of a volume, ``None`` if it lacks it."""
        with translated(f"inspect the volume {name}"):
            try:
                return dict(self._client.inspect_volume(name))
            except docker.errors.NotFound:
                return None

    def unused(self, prefix: str, made_before: float = math.inf) -> list[str]:
        """Return the names with a prefix of unused volumes that have an age."""
        with translated("list volumes"):
            found = self._client.volumes({"name": prefix, "dangling": True})["Volumes"] or ()
        return sorted(
            str(volume["Name"])
            for volume in found
            if volume["Name"].startswith(prefix)
            # In the engine's own time zone; Python 3.10 knows no Z.
            and datetime.fromisoformat(volume["CreatedAt"].replace("Z", "+00:00")).timestamp()
            < made_before
        )

    def create(self, name: str, labels: Mapping[str, str]) -> None:
        """Make a volume unless it is there."""
        with translated(f"make the volume {name}"):
            self._client.create_volume(name, labels=dict(labels))

    def remove(self, name: str) -> bool:
        """Remove a volume, if it is there and no container has it."""
        with translated(f"remove the volume {name}"):
            try:
                self._client.remove_volume(name)
            except docker.errors.APIError as exc:
                if exc.status_code in (_NOT_FOUND, _CONFLICT):
                    return False
                raise
        return True
