"""
What this host has pulled, and as what.

Engines don't tell: with containerd's image store, and with Podman, every image has a digest.
"""

from __future__ import annotations

import json
from pathlib import Path

from salt_ubiq.engine.client import Engine
from salt_ubiq.engine.images import ImageInfo
from salt_ubiq.workspace.files import file_name, private_directory, read, write
from salt_ubiq.workspace.slots import Workspace


class Pulls:
    """The images of an engine that this host has pulled, by the references it has pulled."""

    def __init__(self, engine: Engine, workspace: Workspace) -> None:
        self._engine = engine
        self._path = private_directory(workspace.path / "pulls")

    def pull(self, reference: str) -> ImageInfo:
        """Pull an image; raises :class:`~salt_ubiq.errors.EngineError`."""
        image = self._engine.images.pull(reference)
        write(self._file(reference), json.dumps([image.id, *_digests(image)]))
        return image

    def digests(self, reference: str, image: ImageInfo) -> frozenset[str]:
        """Return the digests that an image has in registries, none where it is from none."""
        if not self._engine.has_digests_for_all:
            return frozenset(_digests(image))
        try:
            image_id, *digests = json.loads(read(self._file(reference)) or "[null]")
        except ValueError:
            return frozenset()
        return frozenset(map(str, digests)) if image_id == image.id else frozenset()

    def _file(self, reference: str) -> Path:
        return self._path / f"{file_name(reference)}.json"


def _digests(image: ImageInfo) -> list[str]:
    return sorted({digest.partition("@")[2] for digest in image.digests})
