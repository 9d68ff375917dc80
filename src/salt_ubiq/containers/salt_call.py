"""
Salt's functions in a container of an image: made for that, and removed afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import docker.errors

from salt_ubiq.containers.client import NOBODY, BuildClient, BuildContainer, Listener, Surroundings
from salt_ubiq.containers.salt import SaltForBuilds
from salt_ubiq.containers.session import BuildSession, BuildSessions
from salt_ubiq.engine.failures import is_without_tools
from salt_ubiq.engine.images import ImageInfo
from salt_ubiq.errors import CallFailed, NoTools


@dataclass(frozen=True)
class Use:
    """
    timeout
        seconds until the container is killed

    suffix
        what its name ends with, after the slot's
    """

    timeout: float = 300
    suffix: str = ""


USUAL = Use()


class SaltContainer:
    """
    A running container of an image, see :func:`container`.

    client
        for what needs no Salt: its ``execute`` runs a command in the container
    """

    def __init__(
        self,
        client: BuildClient,
        image: ImageInfo,
        name: str,
        session: BuildSession,
        create: dict[str, Any],
    ) -> None:
        self.client = client
        self._name = name
        self._clean = session.clean
        self._functions = session.functions(context={"docker.client": client})
        self._functions.pack["__salt__"].update(client.container_resource())
        self._docker("docker.create", image.id, cmd="sleep infinity", **create)
        self._docker("docker.start", client.name)

    def call(self, function: str, *args: Any, **kwargs: Any) -> Any:
        """
        Run a function of Salt in the container and return what it returns.

        Raises :class:`~salt_ubiq.errors.CallFailed`.
        """
        answer = self._docker("docker.call", self.client.name, function, *args, **kwargs)
        # So docker.call tells of what goes wrong around the function.
        if isinstance(answer, dict) and answer.keys() == {"result", "comment"}:
            raise self._failed(function, answer["comment"])
        return answer

    def _docker(self, function: str, *args: Any, **kwargs: Any) -> Any:
        try:
            return self._functions[function](*args, **kwargs)
        except Exception as exc:
            if function == "docker.start" and is_without_tools(exc):
                raise NoTools from None
            raise self._failed(args[1] if function == "docker.call" else function, exc) from exc

    def _failed(self, function: str, why: object) -> CallFailed:
        if self.client.timed_out:
            return CallFailed(f"{self._name}: {function}: not done in time")
        if self.client.lost_engine:
            return CallFailed(f"{self._name}: {function}: the Docker engine was stopped meanwhile")
        lines = [line for line in str(why).splitlines() if line.strip()]
        last = lines[-1].strip() if lines else type(why).__name__
        if "__virtual__ returned False" in last:  # and then why each module of that name does
            last = "Salt has it for nothing that is in this image"
        if "getpwuid(): uid not found: 0" in last:
            last = (
                "Salt looks up root, and the image has none: have its /etc/passwd made in the base"
            )
        return CallFailed(f"{self._name}: {function}: {self._clean(last)}")


@contextmanager
def container(
    image: ImageInfo,
    name: str,
    session: BuildSession,
    surroundings: Surroundings,
    listener: Listener = NOBODY,
    use: Use = USUAL,
    **create: Any,
) -> Iterator[SaltContainer]:
    """
    Start a container of an image, with what Salt needs to run in it, for a while.

    name
        what errors call the image

    session
        the container bears the name of its slot

    surroundings
        with the Salt runtime, or without: then the image needs a Python of its own

    listener
        hears what goes on in it

    use
        for how long, and whether it has a name of its own

    create
        more arguments of ``docker.create``

    Raises :class:`~salt_ubiq.errors.CallFailed`, and :class:`~salt_ubiq.errors.NoTools`
    where the image has no ``sh``.
    """
    wanted = BuildContainer(
        name=f"{session.slot.name}{use.suffix}",
        image_config=image.config,
        entrypoint=True,
        surroundings=surroundings,
        timeout=use.timeout,
    )
    client = BuildClient(session.engine.arguments, wanted, listener)
    try:
        yield SaltContainer(client, image, name, session, create)
    finally:
        # What stays, the next one in the slot removes.
        with suppress(docker.errors.APIError, OSError):
            client.remove_container(client.name, force=True)
        client.close()


@contextmanager
def container_of(
    sessions: BuildSessions, salt: SaltForBuilds, image: ImageInfo, name: str, **create: Any
) -> Iterator[SaltContainer]:
    """As :func:`container`, in a session of its own."""
    with sessions.session(name) as session:
        with_salt = salt.in_slot(session.slot)
        with_salt.prepare()
        with container(image, name, session, with_salt.surroundings, **create) as made:
            yield made
