"""
Removing from the engine what builds have left there for later, or by dying.
"""

from __future__ import annotations

from collections.abc import Collection

from salt_ubiq.builder import Builder
from salt_ubiq.engine import LABEL

KINDS = ("leftovers", "runtimes", "caches")


def prune(builder: Builder, kinds: Collection[str], test: bool) -> dict[str, list[str]]:
    """
    Remove what is of those kinds; with ``test`` only say what that is.

    leftovers
        containers and private tags of dead builds

    runtimes
        the volumes of all Salt runtimes but the one that the catalogue asks for

    caches
        the volumes with what package managers fetched for this host's builds

    What a build is using stays. Returns the names by kind.
    """
    removed: dict[str, list[str]] = {}
    if "leftovers" in kinds:
        removed["leftovers"] = builder.remove_leftovers(test)
    if "runtimes" in kinds:
        old = [name for name in _volumes(builder, "runtime") if name != builder.runtime_name]
        removed["runtimes"] = old if test else _without_used(builder, old)
    if "caches" in kinds:
        caches = [name for name in _volumes(builder, "cache") if builder.is_own_cache(name)]
        removed["caches"] = caches if test else _without_used(builder, caches)
    return removed


def _volumes(builder: Builder, kind: str) -> list[str]:
    return builder.engine.volumes(f"{LABEL}.kind={kind}")


def _without_used(builder: Builder, names: list[str]) -> list[str]:
    return [name for name in names if builder.engine.remove_volume(name)]
