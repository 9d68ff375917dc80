"""
The containers of an engine, but for those in which states are applied: they are
:mod:`salt_ubiq.containers.client`'s.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import docker
import docker.errors
import docker.types

from salt_ubiq.engine.failures import is_without_tools, translated
from salt_ubiq.engine.label_keys import LABEL
from salt_ubiq.errors import NameTaken, NoTools

PATH = "/bin:/usr/bin:/sbin:/usr/sbin:/opt/bin:/usr/local/bin:/usr/local/sbin"
"""What Salt's ``container_resource`` gives every command."""

_CONFLICT = 409
# Seconds: how long a container of ours is used at most, and until it is started.
_LONGEST_USE, _TIME_TO_START = 300, 30


@dataclass(frozen=True)
class Executed:
    """
    What a command in a container came to.

    status
        its exit status, 127 where there is no such command, -1 where the container ended
    """

    status: int
    printed: str


class Containers:
    """What is asked of an engine about containers, see :class:`~salt_ubiq.engine.client.Engine`."""

    def __init__(self, client: docker.APIClient) -> None:
        self._client = client

    @contextmanager
    def asleep(
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
        with translated(f"make the container {name}"):
            host = self._client.create_host_config(mounts=list(mounts), log_config=log_config)
            try:
                container = self._client.create_container(
                    image_id, name=name, host_config=host, **config
                )["Id"]
            except docker.errors.APIError as exc:
                if exc.status_code == _CONFLICT:
                    raise NameTaken(f"there is a container {name} already") from None
                raise
        try:
            yield container
        finally:
            self.remove(container)

    def start(self, container: str) -> None:
        """Start a container; raises :class:`~salt_ubiq.errors.NoTools`."""
        with translated(f"start the container {container}"):
            try:
                self._client.start(container)
            except docker.errors.APIError as exc:
                if is_without_tools(exc):
                    raise NoTools from None
                raise

    def try_start(self, container: str) -> str:
        """Start a container; return why that can't be done, ``""`` where it is."""
        with translated(f"start the container {container}"):
            try:
                self._client.start(container)
            except docker.errors.APIError as exc:
                return str(exc.explanation or exc)
        return ""

    def state(self, container: str) -> dict[str, Any]:
        """Return the engine's account of how a container is: ``Status``, ``ExitCode``, …"""
        with translated(f"inspect the container {container}"):
            return dict(self._client.inspect_container(container)["State"])

    def wait(self, container: str) -> int:
        """Wait until a container ends; return its exit status."""
        with translated(f"wait for the container {container}"):
            return int(self._client.wait(container)["StatusCode"])

    def last_lines(self, container: str, count: int) -> list[str]:
        """Return the last lines that a container's command printed."""
        with translated(f"read the log of the container {container}"):
            printed: bytes = self._client.logs(container, tail=count)
        return printed.decode(errors="replace").splitlines()[-count:]

    def execute(self, container: str, command: Sequence[str]) -> Executed:
        """Run a command in a running container, without the image's environment."""
        with translated(f"run {command[0]} in the container {container}"):
            full = ["env", "-i", f"PATH={PATH}", *command]
            execution = self._client.exec_create(container, full, user="0")["Id"]
            printed = self._client.exec_start(execution).decode(errors="replace").strip()
            status = self._client.exec_inspect(execution)["ExitCode"]
            return Executed(-1 if status is None else int(status), printed)

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
        with translated(f"write to the container {container}"):
            self._client.put_archive(container, directory, tar)

    def read(self, container: str, path: str) -> Iterator[bytes]:
        """Yield a file or directory of a container as a tar, in pieces."""
        with translated(f"read {path} of the container {container}"):
            yield from self._client.get_archive(container, path)[0]

    def read_file(self, container: str, path: str) -> bytes:
        """Return what a file of a container has in it."""
        sent = io.BytesIO(b"".join(self.read(container, path)))
        with tarfile.open(fileobj=sent) as tar:
            content = tar.extractfile(tar.getmembers()[0])
            return content.read() if content else b""

    def has_file(self, container: str, path: str) -> bool:
        """Say whether a container has that file, or what a link of that name leads to."""
        with translated(f"look into the container {container}"):
            try:
                content, stat = self._client.get_archive(container, path)
                content.close()
                if stat["linkTarget"]:
                    self._client.get_archive(container, stat["linkTarget"])[0].close()
            except docker.errors.NotFound:
                return False
        return True

    def in_use(self, name: str, owner: str) -> bool:
        """
        Say whether somebody but ``owner`` may be using the container of that name.

        It runs then, or has only just been made.
        """
        with translated(f"inspect container {name}"):
            try:
                found = self._client.inspect_container(name)
            except docker.errors.NotFound:
                return False
        if (found["Config"]["Labels"] or {}).get(f"{LABEL}.owner") == owner:
            return False
        made = datetime.fromisoformat(found["Created"][:19] + "+00:00")
        age = (datetime.now(timezone.utc) - made).total_seconds()
        return found["State"]["Status"] == "running" or age < _TIME_TO_START

    def exists(self, name: str) -> bool:
        """Say whether there is a container of that name, running or not."""
        with translated(f"inspect container {name}"):
            try:
                self._client.inspect_container(name)
            except docker.errors.NotFound:
                return False
        return True

    def remove(self, name: str) -> bool:
        """Remove a container, running or not, with its anonymous volumes, if it is there."""
        with translated(f"remove container {name}"):
            try:
                self._client.remove_container(name, v=True, force=True)
            except docker.errors.NotFound:
                return False
        return True
