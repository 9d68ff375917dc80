"""
What no image can know of itself: who else has its names, and whether there is what it is
built from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from salt.utils.args import yamlify_arg

from salt_ubiq.catalogue import graph
from salt_ubiq.catalogue.fields import listed
from salt_ubiq.catalogue.models import Base, Service
from salt_ubiq.catalogue.references import mistake_in, names_host, tagged
from salt_ubiq.errors import Problem, brief, joined

NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_LONGEST_NAME = 128  # files are named after it


class Outline(NamedTuple):
    """What one image says of its place among the others, even if the rest is wrong."""

    path: str
    base: str | None
    references: tuple[str, ...]


def outline(path: str, section: str, body: Mapping[str, Any]) -> Outline:
    base = body.get("base") if section == "services" else None
    repository, tags = body.get("repository"), listed(body.get("tags", "latest"))
    references: tuple[str, ...] = ()
    if isinstance(repository, str) and isinstance(tags, list):
        references = tuple(f"{repository}:{tag}" for tag in tags)
    return Outline(path, base if isinstance(base, str) else None, references)


def problems_between(declared: Mapping[str, Outline]) -> list[Problem]:
    """What no image can know of itself: names, parents, and who else has its tags."""
    problems = []
    owners: dict[str, str] = {}
    for name, outline in declared.items():
        if not NAME.fullmatch(name):
            message = "a name has lower-case letters, digits, . _ and -, the first no sign"
            problems.append(Problem(outline.path, message))
        elif len(name) > _LONGEST_NAME:
            message = f"a name has at most {_LONGEST_NAME} letters"
            problems.append(Problem(outline.path, message))
        elif str(yamlify_arg(name)) != name:
            message = "another value on Salt's command line: take a name that YAML reads as text"
            problems.append(Problem(outline.path, message))
        if outline.base and outline.base not in declared:
            message = mistake_in(outline.base, declared)
            if message:
                problems.append(Problem(f"{outline.path}:base", message))
        for reference in outline.references:
            owner = owners.setdefault(reference, name)
            if owner != name:
                problems.append(
                    Problem(outline.path, f"{brief(reference)} is also {brief(owner)}'s")
                )
    edges = {
        name: [
            outline.base
            if outline.base in declared
            else owners.get(tagged(outline.base), outline.base)
        ]
        for name, outline in declared.items()
        if outline.base
    }
    cycle = graph.cycle(edges)
    if cycle:
        message = f"built from itself: {joined(cycle, ' -> ')}"
        problems.append(Problem(f"{declared[cycle[0]].path}:base", message))
    return problems


def problems_of_names(
    images: Sequence[Base | Service], registry: str | None, only: Base | Service | None = None
) -> list[Problem]:
    """What builds and pushes would name, and another image has as its name."""
    tags = {reference: image for image in images for reference in image.references}
    kept: dict[str, Base | Service] = {}
    problems = []
    for image in images:
        made = list(image.made_names.items())
        if registry:
            # It has such a name while it is pushed.
            bare = (each for each in image.references if not names_host(each))
            made += [("repository", f"{registry}/{reference}") for reference in bare]
        for key, reference in made:
            owner = tags.get(reference)
            if owner is None and key == "keep_failed":
                owner = kept.setdefault(reference, image)
                owner = None if owner is image else owner
            if owner is not None and (only is None or only is image or only is owner):
                place = Problem(
                    image.where(key), _MADE[key].format(brief(reference), brief(owner.name))
                )
                problems.append(place)
    return problems


_MADE = {
    "keep_failed": "{} is what a build that fails is kept as, and also {}'s",
    "bootstrap:image": "{} would be made from packages, and is also {}'s",
    "repository": "{} is its name in the registry, and also {}'s",
}
