"""
What is known of the images that services are built on: asked for once, in a container
of each, and kept in the workspace.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from salt_ubiq.builds.residue import Residue
from salt_ubiq.catalogue import references
from salt_ubiq.workspace.files import keep_of_images, private_directory, read, write
from salt_ubiq.workspace.slots import Workspace


@dataclass(frozen=True)
class Facts:
    """Of an image: its grains, and what is in its container before any state runs."""

    grains: dict[str, Any]
    residue: Residue


class ParentFacts:
    """The facts of images that have been built on in this workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._path = private_directory(workspace.path / "parents")

    def facts(self, image_id: str, salt: str, ask: Callable[[], Facts]) -> Facts:
        """
        Return the facts of an image; ``ask`` for what is not known yet.

        salt
            which Salt says so: another may have other grains
        """
        known = self.known(image_id, salt)
        if known is None:
            text = json.dumps(asdict(ask()))
            write(self._file(image_id, salt), text)
            known = _FACTS.validate_json(text)
        return known

    def known(self, image_id: str, salt: str) -> Facts | None:
        """Return the facts of an image where nobody has to be asked."""
        return _parsed(read(self._file(image_id, salt)))

    def _file(self, image_id: str, salt: str) -> Path:
        return self._path / f"{references.digits(image_id)}-{salt}.json"

    def keep(self, image_ids: Collection[str]) -> None:
        """Forget all other images."""
        keep_of_images(self._path, image_ids)


def _parsed(text: str | None) -> Facts | None:
    try:
        return _FACTS.validate_json(text) if text else None
    except ValueError:
        return None


_FACTS = TypeAdapter(Facts)
