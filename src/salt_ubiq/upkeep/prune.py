"""
Removing from the engine what builds have left there for later, or by dying.

Only what this package has made is touched: its names tell containers, volumes and
shared layers, and images without a name are known by the records of their builds.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from dataclasses import dataclass

from salt_ubiq.builds.answers import keep_answers
from salt_ubiq.builds.layers import CHECKPOINTS, SHARED
from salt_ubiq.builds.parent_facts import ParentFacts
from salt_ubiq.containers.runtime import NAME
from salt_ubiq.containers.salt import CACHE_NAME
from salt_ubiq.containers.session import BuildSessions
from salt_ubiq.engine.client import Engine
from salt_ubiq.engine.images import ListedImage
from salt_ubiq.recipes.store import Recipes
from salt_ubiq.registry.digests import Digests
from salt_ubiq.workspace.slots import AT_WORK, Workspace

log = logging.getLogger(__name__)

# In this order: an old image keeps the shared layer that it was built on in use.
KINDS = ("leftovers", "images", "shared", "checkpoints", "runtimes", "caches")
_LAYERS = {"shared": SHARED, "checkpoints": CHECKPOINTS}
DEFAULT = ("leftovers", "images", "shared", "checkpoints", "runtimes")
_DAY = 86400


@dataclass(frozen=True)
class Kept:
    """
    What a host keeps of builds.

    runtime
        the name of the volume of the Salt runtime that the catalogue asks for, if any
    """

    engine: Engine
    workspace: Workspace
    sessions: BuildSessions
    recipes: Recipes
    digests: Digests
    runtime: str | None


def prune(kept: Kept, kinds: Collection[str], days: float, test: bool) -> dict[str, list[str]]:
    """
    Remove what is of those kinds; with ``test`` only say what that is.

    leftovers
        containers and private tags of dead builds, whatever their age

    images
        images built on this host that have lost their tags to newer ones

    shared
        shared layers that no image is built on

    checkpoints
        those that no image is built on

    runtimes
        the volumes of all Salt runtimes but the one that the catalogue asks for

    caches
        the volumes with what package managers fetched for this host's builds

    days
        only what was made so many days ago

    What is used stays; while a build is at work, that is all images: it may be about to
    use any. Returns the names by kind.
    """
    removed: dict[str, list[str]] = {}
    oldest = time.time() - days * _DAY
    if "leftovers" in kinds:
        removed["leftovers"] = kept.sessions.remove_leftovers(test)
    if {"images", *_LAYERS} & {*kinds}:
        images = _prune_images(kept, kinds, oldest, test)
        if "images" in kinds:
            removed["images"] = [each.id for each in images if not each.references]
        for kind, repository in _LAYERS.items():
            if kind in kinds:
                names = (name for each in images for name in each.references)
                removed[kind] = [name for name in names if name.startswith(f"{repository}:")]
    if "runtimes" in kinds:
        runtimes = kept.engine.volumes.unused(NAME, oldest)
        removed["runtimes"] = _volumes_without_used(
            kept, [name for name in runtimes if name != kept.runtime], test
        )
    if "caches" in kinds:
        prefix = f"{CACHE_NAME}{kept.workspace.slot_prefix}"
        removed["caches"] = _volumes_without_used(
            kept, kept.engine.volumes.unused(prefix, oldest), test
        )
    if not test:
        _forget_images_that_are_gone(kept)
    return removed


def _prune_images(
    kept: Kept, kinds: Collection[str], oldest: float, test: bool
) -> list[ListedImage]:
    with kept.workspace.lock_if_free(AT_WORK) as nobody_is:
        if nobody_is:
            return _remove_unused(kept, kinds, oldest, test)
    log.warning("a build is at work: images and shared layers stay")
    return []


def _forget_images_that_are_gone(kept: Kept) -> None:
    with kept.workspace.lock_if_free(AT_WORK) as nobody_is:
        if nobody_is:
            there = {each.id for each in kept.engine.images.all()}
            for known in (kept.recipes, ParentFacts(kept.workspace), kept.digests):
                known.keep(there)
            keep_answers(kept.workspace, there)


def _remove_unused(
    kept: Kept, kinds: Collection[str], oldest: float, test: bool
) -> list[ListedImage]:
    """Remove images, those first that are built on others; return those that can go."""
    engine = kept.engine
    built = kept.recipes.images if "images" in kinds else frozenset()
    layers = tuple(f"{_LAYERS[kind]}:" for kind in kinds if kind in _LAYERS)
    found = unused(engine.images.all(), built, layers, oldest, engine.images.in_use())
    if test:
        return found
    for each in found:
        for name in each.references or (each.id,):
            engine.images.remove(name)
    left = {each.id for each in engine.images.all()}
    return [each for each in found if each.id not in left]


def unused(
    images: Collection[ListedImage],
    built: Collection[str],
    layers: tuple[str, ...],
    oldest: float,
    in_use: Collection[str],
) -> list[ListedImage]:
    """
    The images that can go, each after those that are built on it.

    images
        all that the engine has

    built
        the IDs of those that were built here: they can go without a name

    layers
        what the names of those begin with that can go with their names

    oldest
        when: what was made later stays

    in_use
        the IDs of those that a container has

    What anything is built on stays, unless all of that goes.
    """
    waiting = [
        each
        for each in images
        if each.created <= oldest
        and each.id not in in_use
        and ((each.id in built and not each.references) or _has_only(layers, each))
    ]
    left = {each.id: each for each in images}
    found: list[ListedImage] = []
    while True:
        parents = {each.parent for each in left.values()}
        free = [each for each in waiting if each.id in left and each.id not in parents]
        if not free:
            return found
        found += free
        for each in free:
            del left[each.id]


def _has_only(prefixes: tuple[str, ...], image: ListedImage) -> bool:
    return bool(image.references) and all(name.startswith(prefixes) for name in image.references)


def _volumes_without_used(kept: Kept, names: list[str], test: bool) -> list[str]:
    return names if test else [name for name in names if kept.engine.volumes.remove(name)]
