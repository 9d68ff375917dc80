"""
From what is asked for to what is to be built.
"""

from __future__ import annotations

from collections.abc import Mapping
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


def missing_parents(images: Catalogue, image: Service, engine: Engine) -> list[Base | Service]:
    """What ``image`` is built from and the engine lacks, in the order in which to build it."""
    edges = {each.name: [parent.name] for each in images if (parent := images.parent_of(each))}
    parent = images.parent_of(image)
    if parent is None:
        return []
    missing = []
    for name in reversed(graph.with_parents(edges, [parent.name])):
        if engine.image(images[name].reference):
            break
        missing.append(images[name])
    return list(reversed(missing))
