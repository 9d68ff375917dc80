"""
From what is asked for to what is to be built.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from salt_ubiq import catalogue, graph
from salt_ubiq.catalogue import Base, Catalogue, Service
from salt_ubiq.engine import Engine
from salt_ubiq.errors import BuildError, CatalogueError, Problem, UnknownImage

FORCED = "forced"


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
    said = given.get("build", {})
    if isinstance(said, Mapping):
        build = {**said, **build}
        if build:
            declaration["build"] = {**(found.build if found else {}), **build}
    else:
        declaration["build"] = said
    if found:
        changed = catalogue.changed(found, **declaration) if declaration else found
        return _checked(images, changed)
    if "mods" not in declaration:
        raise UnknownImage(name, [image.name for image in images])
    if "base" not in declaration:
        declaration["base"] = _only_base(images, name).name
    return _checked(images, catalogue.ad_hoc(name, **declaration))


def _checked(images: Catalogue, image: Service) -> Service:
    problems = images.problems_of(image)
    if images.parent_of(image) is None:
        message = catalogue.not_a_reference(image.base, [each.name for each in images])
        problems += [Problem(image.where("base"), message)] if message else []
    if problems:
        raise CatalogueError(problems, f"the build of {image.name}")
    return image


def _only_base(images: Catalogue, name: str) -> Base:
    if len(images.bases) != 1:
        names = ", ".join(base.name for base in images.bases)
        known = f"one of {names}, or " if names else ""
        raise BuildError(f"{name}: base: say what to build from: {known}an image reference")
    return images.bases[0]


@dataclass(frozen=True)
class Step:
    """
    One image of a plan: what will happen to it, and why.

    parents
        the images of the plan that are built before it

    reasons
        why it is built; none where it is up to date

    forced
        why it is built even if it turns out to be up to date

    push
        whether it is pushed, built or not

    shares
        the layers that it may share with others
    """

    image: Base | Service
    parents: tuple[str, ...]
    reasons: tuple[str, ...]
    forced: tuple[str, ...] = ()
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
    patterns: Iterable[str],
    reasons: Callable[[Base | Service], Iterable[str]],
    forced: Mapping[str, Sequence[str]] = MappingProxyType({}),
    push: bool = False,
) -> list[Step]:
    """
    What becomes of images and of all they are built from, parents first.

    patterns
        those that are asked for, as for :func:`salt_ubiq.graph.select`

    reasons
        says why an image whose parents are up to date has to be built; nothing
        where it is up to date, too

    forced
        the images to build in any case, and why

    push
        push those that are asked for even if their declarations do not say so
    """
    edges = images.edges
    asked = set(graph.select(edges, patterns))
    needed = set(graph.with_parents(edges, asked))
    found: dict[str, Step] = {}
    for name in graph.build_order(edges):
        if name in needed:
            parents = tuple(parent for parent in edges[name] if found[parent].reasons)
            own = tuple(forced.get(name, ()))
            why = (*(f"parent {parent} is built" for parent in parents), *own)
            found[name] = Step(
                images[name],
                parents,
                why or tuple(reasons(images[name])),
                own,
                images[name].push or (push and name in asked),
                _shares(images, images[name]),
            )
    return list(found.values())


def _shares(images: Catalogue, image: Base | Service) -> tuple[str, ...]:
    if not isinstance(image, Service):
        return ()
    return tuple(image.layer(mods) for mods in images.shared_beginnings(image))


def all_forced(images: Catalogue, patterns: Iterable[str]) -> dict[str, Sequence[str]]:
    """The images that are asked for, to be built in any case."""
    return dict.fromkeys(graph.select(images.edges, patterns), (FORCED,))


def status(
    images: Catalogue,
    patterns: Iterable[str],
    engine: Engine,
    reasons: Callable[[Base | Service], Iterable[str]],
) -> dict[str, dict[str, Any]]:
    """What the engine has of the images, by name, and whether it is what is declared."""
    asked = graph.select(images.edges, patterns)
    planned = {step.image.name: step for step in steps(images, asked, reasons)}
    return {name: _status(planned[name], engine) for name in asked}


def _status(step: Step, engine: Engine) -> dict[str, Any]:
    image = step.image
    found = engine.image(image.reference)
    return {
        "image": image.reference,
        "present": found is not None,
        "fresh": not step.reasons,
        "reasons": list(step.reasons),
        "id": found.id if found else None,
        "size": found.size if found else None,
        "created": found.created if found else None,
        "parent": image.base if isinstance(image, Service) else None,
    }
