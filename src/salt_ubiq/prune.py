"""
Removing from the engine what builds have left there for later, or by dying.

Only what this package has made is touched: its names tell containers, volumes and
shared layers, and images without a name are known by the records of their builds.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable

from salt_ubiq import layers
from salt_ubiq.builder import Builder
from salt_ubiq.engine import LABEL, ListedImage

# In this order: an old image keeps the shared layer that it was built on in use.
KINDS = ("leftovers", "images", "shared", "runtimes", "caches")
DEFAULT = ("leftovers", "images", "shared", "runtimes")
_DAY = 86400


def prune(
    builder: Builder, kinds: Collection[str], days: float, test: bool
) -> dict[str, list[str]]:
    """
    Remove what is of those kinds; with ``test`` only say what that is.

    leftovers
        containers and private tags of dead builds, whatever their age

    images
        images built on this host that have lost their tags to newer ones

    shared
        shared layers that no image is built on

    runtimes
        the volumes of all Salt runtimes but the one that the catalogue asks for

    caches
        the volumes with what package managers fetched for this host's builds

    days
        only what was made so many days ago

    What is used stays. Returns the names by kind.
    """
    removed: dict[str, list[str]] = {}
    oldest = time.time() - days * _DAY
    gone: set[str] = set()
    if "leftovers" in kinds:
        removed["leftovers"] = builder.remove_leftovers(test)
    if "images" in kinds:
        old = [each.id for each in _old_images(builder) if each.created <= oldest]
        removed["images"] = old if test else _images_without_used(builder, old)
        gone.update(removed["images"])
    if "shared" in kinds:
        unused = [
            reference
            for each in _unused_layers(builder.engine.images(), gone)
            for reference in each.references
            if each.created <= oldest
        ]
        removed["shared"] = unused if test else _images_without_used(builder, unused)
    if "runtimes" in kinds:
        runtimes = _volumes(builder, "runtime", oldest)
        removed["runtimes"] = _volumes_without_used(
            builder, [name for name in runtimes if name != builder.runtime_name], test
        )
    if "caches" in kinds:
        caches = _volumes(builder, "cache", oldest)
        removed["caches"] = _volumes_without_used(
            builder, [name for name in caches if builder.is_own_cache(name)], test
        )
    if not test:
        there = {each.id for each in builder.engine.images()}
        builder.recipes.keep(there)
        builder.registry.digests.keep(there)
    return removed


def _old_images(builder: Builder) -> list[ListedImage]:
    """The latest first: an image that another is built on has to go after it."""
    built = builder.recipes.images
    found = [each for each in builder.engine.images() if each.id in built and not each.references]
    return sorted(found, key=lambda each: each.created, reverse=True)


def _unused_layers(images: Iterable[ListedImage], gone: Collection[str]) -> list[ListedImage]:
    """Shared layers on which no image is built, but for those that are ``gone``."""
    known = {each.id: each for each in images if each.id not in gone}
    shared = {each.id for each in known.values() if _is_layer(each)}
    used = set()
    for each in known.values():
        parent = known.get(each.parent) if each.id not in shared else None
        while parent:
            used.add(parent.id)
            parent = known.get(parent.parent)
    unused = [known[image_id] for image_id in shared - used]
    return sorted(unused, key=lambda each: each.created, reverse=True)


def _is_layer(image: ListedImage) -> bool:
    prefix = f"{layers.REPOSITORY}:"
    return bool(image.references) and all(name.startswith(prefix) for name in image.references)


def _images_without_used(builder: Builder, names: list[str]) -> list[str]:
    return [name for name in names if builder.engine.remove_image(name)]


def _volumes(builder: Builder, kind: str, oldest: float) -> list[str]:
    return builder.engine.volumes(f"{LABEL}.kind={kind}", oldest)


def _volumes_without_used(builder: Builder, names: list[str], test: bool) -> list[str]:
    return names if test else [name for name in names if builder.engine.remove_volume(name)]
