"""
The images that were built on this host, and their recipes: the label on an image has
only the digest, and an explanation needs the whole.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from contextlib import suppress

from salt_ubiq.catalogue import references
from salt_ubiq.recipes.recipe import Recipe
from salt_ubiq.workspace.files import private_directory, read, write
from salt_ubiq.workspace.slots import Workspace


class Recipes:
    """They are hashes only, and readable by their owner alone; with them, whose they are."""

    def __init__(self, workspace: Workspace) -> None:
        self._path = private_directory(workspace.path / "recipes")
        self._images = private_directory(self._path / "images")

    def save(self, recipe: Recipe, image_id: str) -> None:
        """Keep the recipe of an image that was built."""
        write(self._path / f"{recipe.digest}.json", json.dumps(recipe.to_dict()))
        write(self._images / references.digits(image_id), recipe.digest)

    @property
    def images(self) -> frozenset[str]:
        """The IDs of all images that were built here, on the engine still or not."""
        return frozenset(references.image_id(path.name) for path in self._images.glob("[!.]*"))

    def load(self, digest: str) -> Recipe | None:
        """Return the recipe of that digest, ``None`` where it was made elsewhere."""
        text = read(self._path / f"{digest}.json")
        with suppress(ValueError, TypeError):
            return Recipe(**json.loads(text)) if text else None
        return None

    def keep(self, image_ids: Collection[str]) -> None:
        """Forget all other images, and the recipes that only they have."""
        digests = set()
        for path in self._images.glob("[!.]*"):
            if references.image_id(path.name) in image_ids:
                digests.add(read(path))
            else:
                path.unlink(missing_ok=True)
        for path in self._path.glob("*.json"):
            if path.stem not in digests:
                path.unlink(missing_ok=True)
