"""
Services that a call declares, wholly or in part.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from salt_ubiq.catalogue.catalogue import Catalogue
from salt_ubiq.catalogue.messages import translated
from salt_ubiq.catalogue.models import Base, Service
from salt_ubiq.catalogue.references import mistake_in
from salt_ubiq.errors import BuildError, CatalogueError, Problem, UnknownImage, brief, joined


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
        raise BuildError(f"'{brief(name)}' is a base: use ubiq_docker.build_base")
    said = given.get("build", {})
    if isinstance(said, Mapping):
        build = {**said, **build}
        if build:
            declaration["build"] = {**(found.build if found else {}), **build}
    else:
        declaration["build"] = said
    if found:
        meant = changed(found, **declaration) if declaration else found
        return _checked(images, meant)
    if "mods" not in declaration:
        raise UnknownImage(name, [image.name for image in images])
    if "base" not in declaration:
        declaration["base"] = _only_base(images, name).name
    return _checked(images, ad_hoc(name, **declaration))


def _checked(images: Catalogue, image: Service) -> Service:
    problems = images.problems_of(image)
    if images.parent_of(image) is None:
        message = mistake_in(image.base, [each.name for each in images])
        problems += [Problem(image.where("base"), message)] if message else []
    if problems:
        raise CatalogueError(problems, f"the build of {brief(image.name)}")
    return image


def _only_base(images: Catalogue, name: str) -> Base:
    if len(images.bases) != 1:
        names = joined([base.name for base in images.bases])
        known = f"one of {names}, or " if names else ""
        raise BuildError(f"{brief(name)}: base: say what to build from: {known}an image reference")
    return images.bases[0]


def ad_hoc(repository: str, **declaration: Any) -> Service:
    """
    A service that no catalogue declares, from the arguments of one call.

    Raises :class:`~salt_ubiq.errors.CatalogueError`, its paths being arguments' names.
    """
    try:
        return Service.model_validate(
            {"name": repository, "path": "", "repository": repository, **declaration}
        )
    except ValidationError as exc:
        raise CatalogueError(
            translated(exc, "", Service), f"the build of {brief(repository)}"
        ) from None


def changed(service: Service, **declaration: Any) -> Service:
    """A service of the catalogue with some of its keys given otherwise."""
    return ad_hoc(**{**service.model_dump(exclude_unset=True), **declaration})
