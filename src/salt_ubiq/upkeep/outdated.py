"""
What has moved under an image though nothing of it was changed: newer packages for
what is installed in it, another image where its Dockerfile's FROM comes from.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from typing import Any

from salt_ubiq.catalogue import graph
from salt_ubiq.catalogue.catalogue import Catalogue
from salt_ubiq.catalogue.models import Base, Service
from salt_ubiq.containers.salt_call import SaltContainer
from salt_ubiq.engine.client import Engine
from salt_ubiq.engine.images import ImageInfo
from salt_ubiq.errors import RegistryError, UbiqError
from salt_ubiq.recipes.store import Recipes
from salt_ubiq.registry.pulls import Pulls

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Upgrade:
    """The version of a package that is installed, and the one that is available."""

    installed: str
    available: str


@dataclass(frozen=True)
class Outdated:
    """
    packages
        those of the image, not of its parent, that there are newer versions of: the version
        that is installed, and the one that is available, by name

    moved
        what it is FROM that its registry has another image for now
    """

    packages: Mapping[str, Upgrade] = field(default_factory=dict)
    moved: tuple[str, ...] = ()

    @property
    def reasons(self) -> list[str]:
        """In sentences; none where nothing has moved."""
        moved = [f"{reference} has moved in its registry" for reference in self.moved]
        packages = [
            f"package {name}: {each.installed} is installed, {each.available} is available"
            for name, each in sorted(self.packages.items())
        ]
        return moved + packages

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as the loader module returns it."""
        return {
            "outdated": bool(self.reasons),
            "packages": {name: asdict(each) for name, each in sorted(self.packages.items())},
            "moved": list(self.moved),
        }


class Lookout:
    """
    Looks at images, and remembers what it saw of their parents.

    salt_in
        makes a container of an image, given that and what errors call it, and arguments of
        ``docker.create``

    digest
        returns the digest that a reference has in its registry now, ``None`` where
        there is none to be had
    """

    def __init__(
        self,
        images: Catalogue,
        engine: Engine,
        recipes: Recipes,
        salt_in: Callable[..., AbstractContextManager[SaltContainer]],
        digest: Callable[[str], str | None],
        pulls: Pulls,
    ) -> None:
        self._images = images
        self._engine = engine
        self._recipes = recipes
        self._salt_in = salt_in
        self._digest = digest
        self._pulls = pulls
        self._known: dict[str, dict[str, Upgrade]] = {}

    def outdated(self, image: Base | Service) -> Outdated:
        """
        Say what has moved under an image that is on the engine; nothing if it is not.

        Raises :class:`~salt_ubiq.errors.UbiqError` where the package lists can't be had.
        """
        found = self._engine.images.find(image.reference)
        if found is None:
            return Outdated()
        packages = self._upgrades(found, image)
        below = self._kept(image)
        return Outdated(
            packages={name: packages[name] for name in packages if name not in below},
            moved=tuple(
                reference for reference in self._outside(image, found) if self._moved(reference)
            ),
        )

    def reasons(self, patterns: Iterable[str]) -> dict[str, list[str]]:
        """
        Why to build images anew, and what they are built from, by name.

        One that can't be looked at is warned of, and left as it is.
        """
        edges = self._images.edges
        found = {}
        for name in graph.with_parents(edges, graph.select(edges, patterns)):
            try:
                found[name] = self.outdated(self._images[name]).reasons
            except UbiqError as exc:
                log.warning("%s: can't tell what has moved under it: %s", name, exc)
        return {name: reasons for name, reasons in found.items() if reasons}

    def _kept(self, image: Base | Service) -> Collection[str]:
        """The packages that building it once more would leave as they are: its parent's."""
        if isinstance(image, Base):
            return ()  # its FROM is made, or pulled, anew
        above = self._images.parent_of(image)
        parent = self._engine.images.find(above.reference if above else image.base)
        return self._upgrades(parent, above or image) if parent else ()

    def _upgrades(self, found: ImageInfo, image: Base | Service) -> dict[str, Upgrade]:
        """The installed and the available version of all packages that can be upgraded."""
        if found.id not in self._known:
            network = {"network_mode": image.network_mode} if image.network_mode else {}
            with self._salt_in(found, image.reference, **network) as container:
                # Only apt's says nothing of what it could not fetch, unless it is told to.
                apt = container.call("grains.get", "os_family") == "Debian"
                container.call("pkg.refresh_db", **({"failhard": True} if apt else {}))
                available = container.call("pkg.list_upgrades", refresh=False)
                installed = container.call("pkg.list_pkgs") if available else {}
            self._known[found.id] = {
                name: Upgrade(str(installed.get(name, "none")), str(version))
                for name, version in available.items()
            }
        return self._known[found.id]

    def _outside(self, image: Base | Service, found: ImageInfo) -> Iterable[str]:
        """What it is built from that is not of the catalogue."""
        if isinstance(image, Service):
            return () if self._images.parent_of(image) else (image.base,)
        recipe = self._recipes.load(found.recipe)
        made_here = image.bootstrap.image if image.bootstrap else ""
        return [name for name in recipe.parent if name != made_here] if recipe else ()

    def _moved(self, reference: str) -> bool:
        here = self._engine.images.find(reference)
        known = self._pulls.digests(reference, here) if here else frozenset()
        try:
            now = self._digest(reference) if known else None
        except RegistryError as exc:
            log.warning("can't tell whether %s has moved: %s", reference, exc)
            return False
        return now is not None and now not in known
