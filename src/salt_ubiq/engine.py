"""
What salt-ubiq asks of the Docker engine beyond Salt's docker module.

The one place that talks to the engine for itself; the container of a build is
:mod:`salt_ubiq.container`'s.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import docker
import docker.errors
import docker.utils

from salt_ubiq.errors import EngineError

log = logging.getLogger(__name__)

LABEL = "org.salt-ubiq"


@dataclass(frozen=True)
class ImageInfo:
    """An image on the engine; ``config`` is its OCI image config as the engine spells it."""

    id: str
    config: Mapping[str, Any]
    size: int


class Engine:
    """One Docker engine. Failures are :class:`~salt_ubiq.errors.EngineError`."""

    def __init__(self, url: str | None = None, version: str = "auto") -> None:
        """
        Connect to the engine.

        url
            as in ``docker.url`` of the minion config; without it the
            environment's ``DOCKER_HOST``, else the local socket

        version
            of the API, as in ``docker.version``
        """
        environment = docker.utils.kwargs_from_env()
        self.arguments: dict[str, Any] = {**({"base_url": url} if url else environment)}
        self.arguments["version"] = version
        address = url or environment.get("base_url") or "the local socket"
        try:
            self.client = docker.APIClient(**self.arguments)
        except docker.errors.DockerException as exc:
            raise EngineError(_unreachable(address, exc)) from None

    def version(self) -> dict[str, Any]:
        """Return the engine's own account: ``Version``, ``ApiVersion``, ``Arch``, …"""
        with _translated("ask the engine for its version"):
            return dict(self.client.version())

    def image(self, reference: str) -> ImageInfo | None:
        """Return the image of that reference or ID, ``None`` if the engine lacks it."""
        with _translated(f"inspect image {reference}"):
            try:
                found = self.client.inspect_image(reference)  # type: ignore[no-untyped-call]
            except docker.errors.ImageNotFound:
                return None
        return ImageInfo(found["Id"], found["Config"] or {}, found["Size"])

    def pull(self, reference: str) -> ImageInfo:
        """Pull an image from its registry."""
        log.info("pulling %s", reference)
        with _translated(f"pull {reference}"):
            for message in self.client.pull(reference, stream=True, decode=True):
                if "error" in message:
                    raise EngineError(f"can't pull {reference}: {message['error']}")
        image = self.image(reference)
        if image is None:
            raise EngineError(f"{reference} was pulled, but the engine does not have it")
        return image

    def build(self, **arguments: Any) -> Iterator[dict[str, Any]]:
        """Run ``docker build``; yield the engine's messages."""
        with _translated("build from the Dockerfile"):
            yield from self.client.build(decode=True, rm=True, forcerm=True, **arguments)

    def import_tar(self, path: str, reference: str, changes: Sequence[str]) -> None:
        """Make an image of a root file system in a tar file."""
        repository, _, tag = reference.rpartition(":")
        with _translated(f"import {reference}"):
            answer = self.client.import_image_from_file(
                path, repository=repository, tag=tag, changes=list(changes)
            )
            if '"error' in answer:
                raise EngineError(f"can't import {reference}: {answer.strip()}")

    def tag(self, image_id: str, references: Sequence[str]) -> None:
        """Point every ``repository:tag`` to the image."""
        for reference in references:
            repository, _, tag = reference.rpartition(":")
            with _translated(f"tag {reference}"):
                self.client.tag(image_id, repository, tag)

    def remove_image(self, reference: str) -> None:
        """Remove a tag or an image, if it is there and nothing needs it."""
        with suppress(docker.errors.APIError):
            self.client.remove_image(reference)

    def remove_container(self, name: str) -> bool:
        """Remove a container, running or not, with its anonymous volumes, if it is there."""
        with _translated(f"remove container {name}"):
            try:
                self.client.remove_container(name, v=True, force=True)
            except docker.errors.NotFound:
                return False
        return True

    def run(self, image_id: str, command: Sequence[str], name: str) -> tuple[int, str]:
        """
        Run a command in a container of its own, as root and without the image's environment.

        Returns the exit status, 127 where there is no such command, and what it printed.
        """
        with _translated(f"run {command[0]} in {image_id}"):
            container = self.client.create_container(
                image_id, list(command), entrypoint=[], user="0", name=name
            )
            try:
                self.client.start(container)
                status = int(self.client.wait(container)["StatusCode"])
                return status, self.client.logs(container).decode(errors="replace").strip()
            except docker.errors.APIError as exc:
                if "executable file not found" in str(exc) or "no such file" in str(exc):
                    return 127, str(exc.explanation)
                raise
            finally:
                self.remove_container(container["Id"])


@contextmanager
def _translated(action: str) -> Iterator[None]:
    try:
        yield
    except docker.errors.APIError as exc:
        raise EngineError(f"can't {action}: {exc.explanation or exc}") from None
    except (docker.errors.DockerException, OSError) as exc:
        raise EngineError(f"can't {action}: the engine does not answer ({exc})") from None


def _unreachable(address: str, exc: BaseException) -> str:
    """Say why, and what to do about it."""
    if "PermissionError" in repr(exc) or "Permission denied" in str(exc):
        return (
            f"no permission to use the Docker engine at {address}: "
            "run as root, or add this user to the group docker"
        )
    hint = "start it (systemctl start docker)" if not os.environ.get("DOCKER_HOST") else "check it"
    return f"no Docker engine answers at {address}: {hint}"
