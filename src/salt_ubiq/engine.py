"""
What salt-ubiq asks of the Docker engine beyond Salt's docker module.

The one place that talks to the engine for itself; the container of a build is
:mod:`salt_ubiq.container`'s.
"""

from __future__ import annotations

import io
import logging
import math
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import docker
import docker.errors
import docker.types
import docker.utils
import urllib3.exceptions

from salt_ubiq.errors import EngineError, NameTaken, NoTools

log = logging.getLogger(__name__)

LABEL = "org.salt-ubiq"
RECIPE, LOG = f"{LABEL}.recipe", f"{LABEL}.log"
# What Salt's container_resource gives every command.
PATH = "/bin:/usr/bin:/sbin:/usr/sbin:/opt/bin:/usr/local/bin:/usr/local/sbin"

_NO_NAME = "<none>:<none>"
_NOT_FOUND, _CONFLICT = 404, 409
# Seconds: how long a container of ours is used at most, and until it is started.
_LONGEST_USE, _TIME_TO_START = 300, 30


@dataclass(frozen=True)
class ImageInfo:
    """An image on the engine; ``config`` is its OCI image config as the engine spells it."""

    id: str
    config: Mapping[str, Any]
    size: int
    created: str = ""
    digests: tuple[str, ...] = ()
    """``repository@sha256:…``, as registries know it."""

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels, inherited ones included."""
        return self.config.get("Labels") or {}

    @property
    def recipe(self) -> str:
        """The digest of its recipe, empty where it has none."""
        return self.labels.get(RECIPE, "")

    @property
    def made_at(self) -> float:
        """When it was made, in whole seconds since 1970."""
        return datetime.fromisoformat(f"{self.created[:19]}+00:00").timestamp()


@dataclass(frozen=True)
class ListedImage:
    """
    An image in the engine's list.

    parent
        the ID of the image that it was committed on, empty where it was pulled

    created
        when, in seconds since 1970
    """

    id: str
    parent: str
    references: tuple[str, ...]
    created: float


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
        self.address = url or os.environ.get("DOCKER_HOST") or "the local socket"
        try:
            named = {"base_url": url} if url else docker.utils.kwargs_from_env()
            self.arguments: dict[str, Any] = {**named, "version": version}
            self.client = docker.APIClient(**self.arguments)
        except docker.errors.DockerException as exc:
            raise EngineError(_unreachable(self.address, exc)) from None

    @property
    def proxies(self) -> dict[str, str]:
        """What the client's config has commands in containers know, as variables."""
        configured = self.client._proxy_configs  # type: ignore[attr-defined] # its types leave it out
        return dict(configured.get_environment())

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
        return ImageInfo(
            id=found["Id"],
            config=found["Config"] or {},
            size=found["Size"],
            created=found["Created"],
            digests=tuple(found.get("RepoDigests") or ()),
        )

    def pull(self, reference: str, login: dict[str, str] | None = None) -> ImageInfo:
        """Pull an image from its registry, by default with the login of the client's config."""
        log.info("pulling %s", reference)
        with _translated(f"pull {reference}"):
            for message in self.client.pull(reference, stream=True, decode=True, auth_config=login):
                if "error" in message:
                    raise EngineError(f"can't pull {reference}: {message['error']}")
        image = self.image(reference)
        if image is None:
            raise EngineError(f"{reference} was pulled, but the engine does not have it")
        return image

    def push(self, reference: str, login: dict[str, str] | None = None) -> Iterator[dict[str, Any]]:
        """Push an image to its registry; yield the engine's messages."""
        repository, _, tag = reference.rpartition(":")
        with _translated(f"push {reference}"):
            for message in self.client.push(
                repository, tag, stream=True, decode=True, auth_config=login
            ):
                if "error" in message:
                    raise EngineError(f"can't push {reference}: {message['error']}")
                yield message

    def remote_digest(self, reference: str, login: dict[str, str] | None = None) -> str | None:
        """Return the digest of an image in its registry, ``None`` if that lacks it."""
        with _translated(f"look up {reference}"):
            try:
                found = self.client.inspect_distribution(  # type: ignore[no-untyped-call]
                    reference, auth_config=login
                )
            except docker.errors.NotFound:
                return None
        return str(found["Descriptor"]["digest"])

    def build(self, **arguments: Any) -> Iterator[dict[str, Any]]:
        """Run ``docker build``; yield the engine's messages."""
        with _translated("build from the Dockerfile"):
            yield from self.client.build(decode=True, rm=True, forcerm=True, **arguments)

    def label(self, image_id: str, reference: str, labels: Mapping[str, str]) -> None:
        """Make an image that has more labels than another, and is the same otherwise."""
        dockerfile = io.BytesIO(f"FROM {image_id}".encode())
        for message in self.build(fileobj=dockerfile, tag=reference, labels=dict(labels)):
            if "error" in message:
                raise EngineError(f"can't label {reference}: {message['error'].strip()}")

    def import_tar(self, tar: str | bytes, reference: str, changes: Sequence[str]) -> None:
        """Make an image of a root file system: a tar, or the path of one."""
        repository, _, tag = reference.rpartition(":")
        with _translated(f"import {reference}"):
            answer = self.client.import_image(
                io.BytesIO(tar) if isinstance(tar, bytes) else tar,
                repository=repository,
                tag=tag,
                changes=list(changes),
            )
            if '"error' in answer:
                raise EngineError(f"can't import {reference}: {answer.strip()}")

    def tag(self, image_id: str, references: Sequence[str]) -> None:
        """Point every ``repository:tag`` to the image."""
        for reference in references:
            repository, _, tag = reference.rpartition(":")
            with _translated(f"tag {reference}"):
                self.client.tag(image_id, repository, tag)

    def remove_image(self, reference: str) -> bool:
        """Remove a tag or an image, if it is there and nothing needs it."""
        with _translated(f"remove image {reference}"):
            try:
                self.client.remove_image(reference)
            except docker.errors.APIError:
                return False
        return True

    def images(self) -> list[ListedImage]:
        """Return all images, those without a name too."""
        with _translated("list images"):
            found = self.client.images(all=True)
        return [
            ListedImage(
                id=each["Id"],
                parent=each["ParentId"],
                references=tuple(name for name in each["RepoTags"] or () if name != _NO_NAME),
                created=float(each["Created"]),
            )
            for each in found
        ]

    def images_in_use(self) -> set[str]:
        """Return the IDs of the images that containers have, running or not."""
        with _translated("list containers"):
            return {str(each["ImageID"]) for each in self.client.containers(all=True)}

    def references(self, repository: str) -> list[str]:
        """Return all ``repository:tag`` of a repository."""
        with _translated(f"list the images of {repository}"):
            found = self.client.images(repository)
        return [
            name
            for each in found
            for name in each["RepoTags"] or ()
            if name.startswith(f"{repository}:")
        ]

    def remove_container(self, name: str) -> bool:
        """Remove a container, running or not, with its anonymous volumes, if it is there."""
        with _translated(f"remove container {name}"):
            try:
                self.client.remove_container(name, v=True, force=True)
            except docker.errors.NotFound:
                return False
        return True

    def existing(self, reference: str) -> ImageInfo:
        """Return the image of that reference or ID, which has to be there."""
        image = self.image(reference)
        if image is None:
            raise EngineError(f"{reference} is gone from the engine: removed by somebody else?")
        return image

    @contextmanager
    def container(
        self,
        image_id: str,
        name: str,
        mounts: Sequence[docker.types.Mount] = (),
        owner: str = "",
    ) -> Iterator[str]:
        """
        A container that sleeps, once started, and is removed in the end; yields its ID.

        It ends by itself after five minutes, so that one that a dead process left is told
        from one in use. Raises :class:`~salt_ubiq.errors.NameTaken`.

        owner
            who may know better whether it is in use, see :meth:`in_use`
        """
        with self.trial(
            image_id,
            name,
            mounts,
            entrypoint=["sleep", str(_LONGEST_USE)],
            healthcheck={"test": ["NONE"]},
            user="0",
            labels={f"{LABEL}.owner": owner},
        ) as container:
            yield container

    @contextmanager
    def trial(
        self,
        image_id: str,
        name: str,
        mounts: Sequence[docker.types.Mount] = (),
        **config: Any,
    ) -> Iterator[str]:
        """
        A container as the image wants it, to be started, removed in the end; yields its ID.

        config
            what is not as the image has it, as the client's ``create_container`` takes it

        Raises :class:`~salt_ubiq.errors.NameTaken`.
        """
        # Whatever the engine's default is: not every log driver lets the log be read.
        log_config = docker.types.LogConfig(type="json-file", config={"max-size": "10m"})
        with _translated(f"make the container {name}"):
            host = self.client.create_host_config(mounts=list(mounts), log_config=log_config)
            try:
                container = self.client.create_container(
                    image_id, name=name, host_config=host, **config
                )["Id"]
            except docker.errors.APIError as exc:
                if exc.status_code == _CONFLICT:
                    raise NameTaken(f"there is a container {name} already") from None
                raise
        try:
            yield container
        finally:
            self.remove_container(container)

    def start(self, container: str) -> None:
        """Start a container; raises :class:`~salt_ubiq.errors.NoTools`."""
        with _translated(f"start the container {container}"):
            try:
                self.client.start(container)
            except docker.errors.APIError as exc:
                if is_without_tools(exc):
                    raise NoTools from None
                raise

    def try_start(self, container: str) -> str:
        """Start a container; return why that can't be done, ``""`` where it is."""
        with _translated(f"start the container {container}"):
            try:
                self.client.start(container)
            except docker.errors.APIError as exc:
                return str(exc.explanation or exc)
        return ""

    def state(self, container: str) -> dict[str, Any]:
        """Return the engine's account of how a container is: ``Status``, ``ExitCode``, …"""
        with _translated(f"inspect the container {container}"):
            return dict(self.client.inspect_container(container)["State"])

    def wait(self, container: str) -> int:
        """Wait until a container ends; return its exit status."""
        with _translated(f"wait for the container {container}"):
            return int(self.client.wait(container)["StatusCode"])

    def last_lines(self, container: str, count: int) -> list[str]:
        """Return the last lines that a container's command printed."""
        with _translated(f"read the log of the container {container}"):
            printed: bytes = self.client.logs(container, tail=count)
        return printed.decode(errors="replace").splitlines()[-count:]

    def execute(self, container: str, command: Sequence[str]) -> tuple[int, str]:
        """
        Run a command in a running container, without the image's environment.

        Returns the exit status, 127 where there is no such command, -1 where the
        container ended, and what it printed.
        """
        with _translated(f"run {command[0]} in the container {container}"):
            full = ["env", "-i", f"PATH={PATH}", *command]
            execution = self.client.exec_create(container, full, user="0")["Id"]
            printed = self.client.exec_start(execution).decode(errors="replace").strip()
            status = self.client.exec_inspect(execution)["ExitCode"]
            return -1 if status is None else int(status), printed

    def put(self, container: str, directory: str, contents: Mapping[str, bytes]) -> None:
        """Write files into a directory of a container, by name."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for name, content in contents.items():
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(content), 0o644
                tar.addfile(member, io.BytesIO(content))
        self.put_tar(container, directory, buffer.getvalue())

    def put_tar(self, container: str, directory: str, tar: bytes) -> None:
        """Unpack a tar in a directory of a container."""
        with _translated(f"write to the container {container}"):
            self.client.put_archive(container, directory, tar)

    def read(self, container: str, path: str) -> Iterator[bytes]:
        """Yield a file or directory of a container as a tar, in pieces."""
        with _translated(f"read {path} of the container {container}"):
            yield from self.client.get_archive(container, path)[0]

    def read_file(self, container: str, path: str) -> bytes:
        """Return what a file of a container has in it."""
        sent = io.BytesIO(b"".join(self.read(container, path)))
        with tarfile.open(fileobj=sent) as tar:
            content = tar.extractfile(tar.getmembers()[0])
            return content.read() if content else b""

    def has_file(self, container: str, path: str) -> bool:
        """Say whether a container has that file, or what a link of that name leads to."""
        with _translated(f"look into the container {container}"):
            try:
                content, stat = self.client.get_archive(container, path)
                content.close()
                if stat["linkTarget"]:
                    self.client.get_archive(container, stat["linkTarget"])[0].close()
            except docker.errors.NotFound:
                return False
        return True

    def volume(self, name: str) -> dict[str, Any] | None:
        """Return the engine's account of a volume, ``None`` if it lacks it."""
        with _translated(f"inspect the volume {name}"):
            try:
                return dict(self.client.inspect_volume(name))
            except docker.errors.NotFound:
                return None

    def volumes(self, prefix: str, made_before: float = math.inf) -> list[str]:
        """Return the names with a prefix of unused volumes that have an age."""
        with _translated("list volumes"):
            found = self.client.volumes({"name": prefix, "dangling": True})["Volumes"] or ()
        return sorted(
            str(volume["Name"])
            for volume in found
            if volume["Name"].startswith(prefix)
            # In the engine's own time zone; Python 3.10 knows no Z.
            and datetime.fromisoformat(volume["CreatedAt"].replace("Z", "+00:00")).timestamp()
            < made_before
        )

    def in_use(self, name: str, owner: str) -> bool:
        """
        Say whether somebody but ``owner`` may be using the container of that name.

        It runs then, or has only just been made.
        """
        with _translated(f"inspect container {name}"):
            try:
                found = self.client.inspect_container(name)
            except docker.errors.NotFound:
                return False
        if (found["Config"]["Labels"] or {}).get(f"{LABEL}.owner") == owner:
            return False
        made = datetime.fromisoformat(found["Created"][:19] + "+00:00")
        age = (datetime.now(timezone.utc) - made).total_seconds()
        return found["State"]["Status"] == "running" or age < _TIME_TO_START

    def has_container(self, name: str) -> bool:
        """Say whether there is a container of that name, running or not."""
        with _translated(f"inspect container {name}"):
            try:
                self.client.inspect_container(name)
            except docker.errors.NotFound:
                return False
        return True

    def create_volume(self, name: str, labels: Mapping[str, str]) -> None:
        """Make a volume unless it is there."""
        with _translated(f"make the volume {name}"):
            self.client.create_volume(name, labels=dict(labels))

    def remove_volume(self, name: str) -> bool:
        """Remove a volume, if it is there and no container has it."""
        with _translated(f"remove the volume {name}"):
            try:
                self.client.remove_volume(name)
            except docker.errors.APIError as exc:
                if exc.status_code in (_NOT_FOUND, _CONFLICT):
                    return False
                raise
        return True


@contextmanager
def _translated(action: str) -> Iterator[None]:
    try:
        yield
    except docker.errors.APIError as exc:
        raise EngineError(f"can't {action}: {exc.explanation or exc}") from None
    except (docker.errors.DockerException, OSError, urllib3.exceptions.HTTPError) as exc:
        raise EngineError(f"can't {action}: the engine does not answer ({exc})") from None


def is_without_tools(exc: Exception) -> bool:
    """Say whether a container did not start because its image lacks the program to run."""
    return "executable file not found" in str(exc) or "no such file or directory" in str(exc)


def _unreachable(address: str, exc: BaseException) -> str:
    """Say why, and what to do about it."""
    if "PermissionError" in repr(exc) or "Permission denied" in str(exc):
        return (
            f"no permission to use the Docker engine at {address}: "
            "run as root, or add this user to the group docker"
        )
    hint = "start it (systemctl start docker)" if not os.environ.get("DOCKER_HOST") else "check it"
    return f"no Docker engine answers at {address}: {hint}"
