"""
What salt-ubiq asks of the Docker engine beyond Salt's docker module.

The one place that talks to the engine for itself; the container of a build is
:mod:`salt_ubiq.containers.client`'s.
"""

from __future__ import annotations

import os
from functools import cached_property
from typing import Any

import docker
import docker.errors
import docker.utils
from docker.context import ContextAPI

from salt_ubiq.engine.containers import Containers
from salt_ubiq.engine.failures import translated, unreachable
from salt_ubiq.engine.images import Images
from salt_ubiq.engine.volumes import Volumes
from salt_ubiq.errors import EngineError

# Docker's limit for images in its own store; other stores leave it to the kernel's overlay.
_DOCKERS_MOST_LAYERS, _KERNELS_MOST_LAYERS = 125, 500


class Engine:
    """
    One Docker engine: its ``images``, ``containers`` and ``volumes``.

    Failures are :class:`~salt_ubiq.errors.EngineError`.
    """

    def __init__(self, url: str | None = None, version: str = "auto") -> None:
        """
        Connect to the engine.

        url
            as in ``docker.url`` of the minion config; without it the
            environment's ``DOCKER_HOST``, else what ``docker context`` has been told to use, else
            the local socket

        version
            of the API, as in ``docker.version``
        """
        self.address = url or os.environ.get("DOCKER_HOST") or "the local socket"
        try:
            named: dict[str, Any] = {"base_url": url} if url else {**docker.utils.kwargs_from_env()}
            context = None if named else ContextAPI.get_current_context()
            if context and context.name != "default":
                self.address = f"{context.Host} (docker context {context.name})"
                named = {"base_url": context.Host, "tls": context.TLSConfig or False}
            self.arguments: dict[str, Any] = {**named, "version": version}
            self.client = docker.APIClient(**self.arguments)
        except docker.errors.DockerException as exc:
            raise EngineError(unreachable(self.address, exc)) from None
        self.images = Images(self.client)
        self.containers = Containers(self.client)
        self.volumes = Volumes(self.client)

    @property
    def proxies(self) -> dict[str, str]:
        """What the client's config has commands in containers know, as variables."""
        configured = self.client._proxy_configs  # type: ignore[attr-defined] # its types leave it out
        return dict(configured.get_environment())

    @cached_property
    def has_digests_for_all(self) -> bool:
        """Whether images have digests that no registry gave them, as in containerd's store."""
        with translated("ask the engine for its image store"):
            told = dict(self.client.info())
        drivers = str(told.get("DriverStatus") or "")
        return "io.containerd.snapshotter" in drivers or self.is_podman

    @property
    def most_layers(self) -> int:
        """How many layers an image can have."""
        return _KERNELS_MOST_LAYERS if self.has_digests_for_all else _DOCKERS_MOST_LAYERS

    @cached_property
    def is_podman(self) -> bool:
        """Whether it is Podman that answers, and not Docker."""
        components = self.version().get("Components") or ()
        return any("podman" in str(each.get("Name")).lower() for each in components)

    def version(self) -> dict[str, Any]:
        """Return the engine's own account: ``Version``, ``ApiVersion``, ``Arch``, …"""
        with translated("ask the engine for its version"):
            return dict(self.client.version())
