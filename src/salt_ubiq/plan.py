"""
From what is asked for to what is to be built.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from salt_ubiq import catalogue, graph
from salt_ubiq.catalogue import Base, Catalogue, Service
from salt_ubiq.engine import Engine
from salt_ubiq.errors import BuildError, CatalogueError, Problem, UnknownImage


def service(images: Catalogue, name: str, given: Mapping[str, Any]) -> Service:
    """
    The service that a call means.

    name
        of the catalogue, or a repository

    given
        the call's other arguments, by the catalogue's keys; unknown ones are
        for the build container
    """
    known = set(Service.model_fields) - {"name", "path", "repository", "build"}
    declaration = {key: value for key, value in given.items() if key in known}
    build = {key: value for key, value in given.items() if key not in known and key != "build"}
    found = images.find(name)
    if isinstance(found, Base):
        raise BuildError(f"'{name}' is a base: use ubiq_docker.build_base")
    if build or "build" in given:
        declaration["build"] = {**(found.build if found else {}), **given.get("build", {}), **build}
    if found:
        changed = catalogue.changed(found, **declaration) if declaration else found
        return _checked(images, changed)
    if "mods" not in declaration:
        raise UnknownImage(name, [image.name for image in images])
    if "base" not in declaration:
        declaration["base"] = _only_base(images, name).name
    return _checked(images, catalogue.ad_hoc(name, **declaration))


def _checked(images: Catalogue, image: Service) -> Service:
    if images.parent_of(image) is None:
        message = catalogue.not_a_reference(image.base, [each.name for each in images])
        if message:
            raise CatalogueError(
                [Problem(image.where("base"), message)], f"the build of {image.name}"
            )
    return image


def _only_base(images: Catalogue, name: str) -> Base:
    if len(images.bases) != 1:
        names = ", ".join(base.name for base in images.bases)
        known = f"one of {names}, or " if names else ""
        raise BuildError(f"{name}: base: say what to build from: {known}an image reference")
    return images.bases[0]


@dataclass(frozen=True)
class Step:
    """One image of a plan: what will happen to it, and why."""

    image: Base | Service
    parents: tuple[str, ...]
    reasons: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as the loader modules return it."""
        return {
            "name": self.image.name,
            "image": self.image.reference,
            "action": "build",
            "parents": list(self.parents),
            "reasons": list(self.reasons),
        }


def steps(images: Catalogue, patterns: Iterable[str], has: Callable[[str], object]) -> list[Step]:
    """
    What is to be built, parents first, for an order of :func:`salt_ubiq.graph.select`.

    has
        says whether an image is there, by its reference: what the images asked
        for are built from is built too, where it is not
    """
    edges = images.edges
    asked = set(graph.select(edges, patterns))
    lacking = {name for name in graph.with_parents(edges, asked) if not has(images[name].reference)}
    needed = asked | {name for name in asked for name in _unbroken(edges, name, lacking)}
    return [
        Step(
            image=images[name],
            parents=tuple(parent for parent in edges[name] if parent in needed),
            reasons=_reasons(name, edges, asked, needed, lacking),
        )
        for name in graph.build_order(edges)
        if name in needed
    ]


def _unbroken(edges: Mapping[str, list[str]], name: str, lacking: set[str]) -> Iterator[str]:
    """The missing images above ``name``, up to the first that is there."""
    for parent in edges[name]:
        if parent in lacking:
            yield parent
            yield from _unbroken(edges, parent, lacking)


def _reasons(
    name: str,
    edges: Mapping[str, list[str]],
    asked: Collection[str],
    needed: Collection[str],
    lacking: Collection[str],
) -> tuple[str, ...]:
    reasons = [f"parent {parent} is built" for parent in edges[name] if parent in needed]
    if name in lacking:
        reasons.insert(0, "no image")
    elif name in asked:
        reasons.append("asked for")
    return tuple(reasons)


def missing_parents(images: Catalogue, image: Service, engine: Engine) -> list[Base | Service]:
    """What ``image`` is built from and the engine lacks, in the order in which to build it."""
    parent = images.parent_of(image)
    missing: list[Base | Service] = []
    while parent and engine.image(parent.reference) is None:
        missing.insert(0, parent)
        parent = images.parent_of(parent)
    return missing


def status(images: Catalogue, patterns: Iterable[str], engine: Engine) -> dict[str, dict[str, Any]]:
    """What the engine has of the images, by name."""
    return {name: _status(images[name], engine) for name in graph.select(images.edges, patterns)}


def _status(image: Base | Service, engine: Engine) -> dict[str, Any]:
    found = engine.image(image.reference)
    return {
        "image": image.reference,
        "present": found is not None,
        "id": found.id if found else None,
        "size": found.size if found else None,
        "created": found.created if found else None,
        "parent": image.base if isinstance(image, Service) else None,
    }
