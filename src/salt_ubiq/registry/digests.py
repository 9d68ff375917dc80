"""
Under which digests registries know the images of this host.
"""

from __future__ import annotations

from collections.abc import Collection

from salt_ubiq.catalogue.references import digits
from salt_ubiq.engine.images import ImageInfo
from salt_ubiq.workspace.files import keep_of_images, private_directory, read, write
from salt_ubiq.workspace.slots import Workspace


class Digests:
    """
    Under which digests registries know the images of this host.

    The engine forgets the digest of an image with the last tag that names the registry,
    and the tag that a push needs goes at its end.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._path = private_directory(workspace.path / "digests")

    def of(self, image: ImageInfo) -> frozenset[str]:
        """Return the digests of an image."""
        return frozenset(digest.partition("@")[2] for digest in image.digests) | self._kept(
            image.id
        )

    def add(self, image_id: str, *digests: str) -> None:
        """Remember more digests of an image."""
        kept = self._kept(image_id)
        if not kept.issuperset(digests):
            write(self._path / digits(image_id), "\n".join(sorted(kept.union(digests))))

    def keep(self, image_ids: Collection[str]) -> None:
        """Forget all other images."""
        keep_of_images(self._path, image_ids)

    def _kept(self, image_id: str) -> frozenset[str]:
        return frozenset((read(self._path / digits(image_id)) or "").split())
