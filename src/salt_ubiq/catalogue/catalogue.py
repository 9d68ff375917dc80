"""
The catalogue: all images that are declared, and how they belong together.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping
from itertools import takewhile
from typing import Any

from salt_ubiq.catalogue.consistency import problems_of_names
from salt_ubiq.catalogue.models import IDENTITY, Base, Service, Settings
from salt_ubiq.catalogue.references import tagged
from salt_ubiq.errors import Problem, UnknownImage


class Catalogue:
    """All images by name, bases before services, and what holds for all of them."""

    def __init__(
        self,
        images: Mapping[str, Base | Service],
        settings: Settings,
    ) -> None:
        self._images = dict(images)
        self._by_reference = {reference: each for each in self for reference in each.references}
        self.runtime = settings.runtime
        self.registry = settings.registry
        self.secrets = settings.secrets
        self.questions = settings.questions
        self._recipe_key = settings.recipe_key
        self._pillar_keys = settings.pillar_keys

    def __iter__(self) -> Iterator[Base | Service]:
        return iter(self._images.values())

    def __getitem__(self, name: str) -> Base | Service:
        try:
            return self._images[name]
        except KeyError:
            raise UnknownImage(name, self._images) from None

    def find(self, name: str) -> Base | Service | None:
        """The image of that name or, as Docker's users know it, of that repository."""
        by_repository = {image.repository: image for image in reversed(list(self))}
        return self._images.get(name) or by_repository.get(name)

    @property
    def digest_key(self) -> str:
        """
        What recipes' digests are made with, empty where there is no ``recipe_key``.

        It stands in the records of recipes, so that they tell of another key.
        """
        if not self._recipe_key:
            return ""
        return hmac.digest(self._recipe_key.encode(), b"salt-ubiq recipe", "sha256").hex()

    @property
    def bases(self) -> tuple[Base, ...]:
        return tuple(image for image in self if isinstance(image, Base))

    @property
    def edges(self) -> dict[str, list[str]]:
        """Every image's name, to the name of what it is built from, if that is in here."""
        return {
            image.name: [parent.name] if (parent := self.parent_of(image)) else [] for image in self
        }

    def parent_of(self, image: Base | Service) -> Base | Service | None:
        """The image of the catalogue that ``image`` is built from, if it is one."""
        if not isinstance(image, Service):
            return None
        return self._images.get(image.base) or self._by_reference.get(tagged(image.base))

    def problems_of(self, image: Base | Service) -> list[Problem]:
        """What is wrong with the names that a build of ``image`` makes, among all of these."""
        others = [other for other in self if other.name != image.name]
        return problems_of_names([image, *others], self.registry, only=image)

    def pillar_keys(self, service: Service) -> frozenset[str] | None:
        """The keys of the minion's pillar that its states see, ``None`` for all."""
        if not self._pillar_keys.keys() >= set(service.mods):
            return None
        return frozenset(key for mod in service.mods for key in self._pillar_keys[mod])

    def shared_beginnings(self, service: Service) -> list[tuple[str, ...]]:
        """
        The beginnings of its ``mods`` that another service on the same parent has, too,
        the shortest first: where the two go on differently, or one of them ends.
        """
        if not service.share:
            return []
        lengths = {
            _common(service.mods, other.mods)
            for other in self
            if isinstance(other, Service)
            and other.name != service.name
            and other.share
            and all(getattr(other, key) == getattr(service, key) for key in _SHAPING)
        }
        return [service.mods[:length] for length in sorted(lengths) if length]

    def to_dict(self) -> dict[str, Any]:
        """Plain data: ``{"bases": {name: …}, "services": {name: …}}``, defaults filled in."""
        plain: dict[str, Any] = {"bases": {}, "services": {}}
        for image in self:
            section = "bases" if isinstance(image, Base) else "services"
            plain[section][image.name] = image.model_dump(mode="json", exclude=set(IDENTITY))
        return plain


# What has to be the same in two services for the same states to do the same.
_SHAPING = ("base", "saltenv", "pillar", "build", "network_mode", "extra_filerefs")


def _common(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How many of the first items are the same."""
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))))
