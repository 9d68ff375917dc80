"""
The images of an engine.
"""

from __future__ import annotations

import io
import json
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import docker
import docker.errors
import requests.exceptions

from salt_ubiq.catalogue.references import familiar, image_id, split
from salt_ubiq.engine import saved_image
from salt_ubiq.engine.failures import translated
from salt_ubiq.engine.label_keys import ASKED, MADE_OF, RECIPE
from salt_ubiq.errors import EngineError

log = logging.getLogger(__name__)

_NO_NAME = "<none>:<none>"


@dataclass(frozen=True)
class ImageInfo:
    """An image on the engine; ``config`` is its OCI image config as the engine spells it."""

    id: str
    config: Mapping[str, Any]
    size: int
    created: str = ""
    digests: tuple[str, ...] = ()
    """``repository@sha256:…``, as registries know it."""
    platform: str = ""
    """As ``linux/amd64``."""
    layers: int = 0

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels, inherited ones included."""
        return self.config.get("Labels") or {}

    @property
    def recipe(self) -> str:
        """The digest of its recipe, empty where it has none."""
        return self.labels.get(RECIPE, "")

    @property
    def made_of(self) -> str:
        """What it tells of its recipe, empty where that is nothing."""
        return self.labels.get(MADE_OF, "")

    @property
    def asked(self) -> frozenset[str]:
        """What of the state tree its states asked for while they ran."""
        try:
            names = json.loads(self.labels.get(ASKED) or "[]")
        except ValueError:
            names = []
        return frozenset(map(str, names if isinstance(names, list) else ()))

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


class Images:
    """What is asked of an engine about its images, see :class:`~salt_ubiq.engine.client.Engine`."""

    def __init__(self, client: docker.APIClient) -> None:
        self._client = client

    def find(self, reference: str) -> ImageInfo | None:
        """Return the image of that reference or ID, ``None`` if the engine lacks it."""
        with translated(f"inspect image {reference}"):
            try:
                found = self._client.inspect_image(reference)  # type: ignore[no-untyped-call]
            except docker.errors.ImageNotFound:
                return None
        return ImageInfo(
            id=found["Id"],
            config=found["Config"] or {},
            size=found["Size"],
            created=found["Created"],
            digests=tuple(map(familiar, found.get("RepoDigests") or ())),
            platform=f"{found.get('Os')}/{found.get('Architecture')}",
            layers=len((found.get("RootFS") or {}).get("Layers") or ()),
        )

    def existing(self, reference: str) -> ImageInfo:
        """Return the image of that reference or ID, which has to be there."""
        image = self.find(reference)
        if image is None:
            raise EngineError(f"{reference} is gone from the engine: removed by somebody else?")
        return image

    def pull(self, reference: str, login: dict[str, str] | None = None) -> ImageInfo:
        """Pull an image from its registry, by default with the login of the client's config."""
        log.info("pulling %s", reference)
        with translated(f"pull {reference}"):
            for message in self._client.pull(
                reference, stream=True, decode=True, auth_config=login
            ):
                if "error" in message:
                    raise EngineError(f"can't pull {reference}: {message['error']}")
        image = self.find(reference)
        if image is None:
            raise EngineError(f"{reference} was pulled, but the engine does not have it")
        return image

    def push(self, reference: str, login: dict[str, str] | None = None) -> Iterator[dict[str, Any]]:
        """Push an image to its registry; yield the engine's messages."""
        name = split(reference)
        with translated(f"push {reference}"):
            for message in self._client.push(
                name.repository, name.tag, stream=True, decode=True, auth_config=login
            ):
                if "error" in message:
                    raise EngineError(f"can't push {reference}: {message['error']}")
                yield message

    def remote_digest(self, reference: str, login: dict[str, str] | None = None) -> str | None:
        """Return the digest of an image in its registry, ``None`` if that lacks it."""
        with translated(f"look up {reference}"):
            try:
                found = self._client.inspect_distribution(  # type: ignore[no-untyped-call]
                    reference, auth_config=login
                )
            except docker.errors.NotFound:
                return None
            except requests.exceptions.ReadTimeout:
                # Engines wait for a whole manifest for ever.
                waited = f"{self._client.timeout:g} s"
                raise EngineError(
                    f"can't look up {reference}: its registry has not answered in {waited}"
                ) from None
        return str(found["Descriptor"]["digest"])

    def build(self, **arguments: Any) -> Iterator[dict[str, Any]]:
        """Run ``docker build``; yield the engine's messages."""
        with translated("build from the Dockerfile"):
            yield from self._client.build(decode=True, rm=True, forcerm=True, **arguments)

    def label(self, image_id: str, reference: str, labels: Mapping[str, str]) -> None:
        """Make an image that has more labels than another, and is the same otherwise."""
        dockerfile = io.BytesIO(f"FROM {image_id}".encode())
        for message in self.build(fileobj=dockerfile, tag=reference, labels=dict(labels)):
            if "error" in message:
                raise EngineError(f"can't label {reference}: {message['error'].strip()}")

    def reconfigure(self, reference: str, config: Mapping[str, Any]) -> None:
        """
        Give an image another config, key by key, as a commit can't do it everywhere.

        The image goes through this host: it takes as long as saving and loading it.
        """
        old = self.existing(reference)
        with translated(f"save and load {reference}"), tempfile.TemporaryFile() as changed:
            with tempfile.TemporaryFile() as saved:
                for chunk in self._client.get_image(reference):
                    saved.write(chunk)
                saved.seek(0)
                saved_image.with_config(saved, changed, config)
            changed.seek(0)
            for message in self._client.load_image(changed):  # type: ignore[no-untyped-call]
                if "error" in message:
                    raise EngineError(f"can't load {reference}: {message['error']}")
        if self.existing(reference).id != old.id:
            self.remove(old.id)

    def import_tar(self, tar: str | bytes, reference: str, changes: Sequence[str]) -> None:
        """Make an image of a root file system: a tar, or the path of one."""
        name = split(reference)
        with translated(f"import {reference}"):
            answer = self._client.import_image(
                io.BytesIO(tar) if isinstance(tar, bytes) else tar,
                repository=name.repository,
                tag=name.tag,
                changes=list(changes),
            )
            if '"error' in answer:
                raise EngineError(f"can't import {reference}: {answer.strip()}")

    def tag(self, image_id: str, references: Sequence[str]) -> None:
        """Point every ``repository:tag`` to the image."""
        for reference in references:
            name = split(reference)
            with translated(f"tag {reference}"):
                self._client.tag(image_id, name.repository, name.tag)

    def remove(self, reference: str) -> bool:
        """Remove a tag or an image, if it is there and nothing needs it."""
        with translated(f"remove image {reference}"):
            try:
                self._client.remove_image(reference)
            except docker.errors.APIError:
                return False
        return True

    def all(self) -> list[ListedImage]:
        """Return all images, those without a name too."""
        with translated("list images"):
            found = self._client.images(all=True)
        return [
            ListedImage(
                id=each["Id"],
                parent=image_id(each["ParentId"]) if each["ParentId"] else "",
                references=tuple(
                    familiar(name) for name in each["RepoTags"] or () if name != _NO_NAME
                ),
                created=float(each["Created"]),
            )
            for each in found
        ]

    def in_use(self) -> set[str]:
        """Return the IDs of the images that containers have, running or not."""
        with translated("list containers"):
            return {str(each["ImageID"]) for each in self._client.containers(all=True)}

    def references(self, repository: str) -> list[str]:
        """Return all ``repository:tag`` of a repository."""
        with translated(f"list the images of {repository}"):
            found = self._client.images(repository)
        return [
            name
            for each in found
            for name in map(familiar, each["RepoTags"] or ())
            if name.startswith(f"{repository}:")
        ]
