"""
From what is asked for to what is to be built.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from salt_ubiq.catalogue import graph
from salt_ubiq.catalogue.catalogue import Catalogue
from salt_ubiq.catalogue.models import Base, Service

FORCED = "forced"

Because = Mapping[str, Sequence[str]]
"""Why images are built even if they are up to date, by their names."""


@dataclass(frozen=True)
class Request:
    """
    What is asked for of a catalogue.

    names
        patterns, as for :func:`salt_ubiq.catalogue.graph.select`

    force
        build these even if they are up to date

    refresh
        build anew what something has moved under

    push
        push these even if their declarations do not say so
    """

    names: tuple[str, ...] = ()
    force: bool = False
    refresh: bool = False
    push: bool = False


@dataclass(frozen=True)
class Step:
    """
    One image of a plan: what will happen to it, and why.

    parents
        the images of the plan that are built before it

    reasons
        why it is built; none where it is up to date

    because
        why it is built even if it turns out to be up to date

    push
        whether it is pushed, built or not

    shares
        the layers that it may share with others
    """

    image: Base | Service
    parents: tuple[str, ...]
    reasons: tuple[str, ...]
    because: tuple[str, ...] = ()
    push: bool = False
    shares: tuple[str, ...] = ()

    @property
    def due(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.reasons) or self.push

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as the loader modules return it."""
        return {
            "name": self.image.name,
            "image": self.image.reference,
            "action": "build" if self.reasons else "up-to-date",
            "parents": list(self.parents),
            "reasons": list(self.reasons),
            "push": self.push,
        }


def steps(
    images: Catalogue,
    request: Request,
    reasons: Callable[[Base | Service], Iterable[str]],
    because: Because = MappingProxyType({}),
) -> list[Step]:
    """
    What becomes of images and of all they are built from, parents first.

    reasons
        says why an image whose parents are up to date has to be built; nothing
        where it is up to date, too

    because
        of the images to build in any case
    """
    edges = images.edges
    asked = set(graph.select(edges, request.names))
    needed = set(graph.with_parents(edges, asked))
    found: dict[str, Step] = {}
    for name in graph.build_order(edges):
        if name in needed:
            parents = tuple(parent for parent in edges[name] if found[parent].reasons)
            own = tuple(because.get(name, ()))
            why = (*(f"parent {parent} is built" for parent in parents), *own)
            found[name] = Step(
                images[name],
                parents,
                why or tuple(reasons(images[name])),
                own,
                images[name].push or (request.push and name in asked),
                _shares(images, images[name]),
            )
    return list(found.values())


def _shares(images: Catalogue, image: Base | Service) -> tuple[str, ...]:
    if not isinstance(image, Service):
        return ()
    return tuple(image.layer(mods) for mods in images.shared_beginnings(image))


def forced(images: Catalogue, request: Request) -> Because:
    """The images that are built because they are forced."""
    if not request.force:
        return {}
    return dict.fromkeys(graph.select(images.edges, request.names), (FORCED,))
