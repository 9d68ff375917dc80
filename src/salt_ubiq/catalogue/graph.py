"""
Order among images: which is built from which.

Pure functions over ``edges``: a mapping of each image's name to the names of
its parents. Parents without an entry of their own are images from outside.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from graphlib import CycleError, TopologicalSorter

from salt_ubiq.errors import UnknownImage


def cycle(edges: Mapping[str, Iterable[str]]) -> list[str] | None:
    """Return the names along a cycle, first and last the same, or ``None``."""
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as exc:
        # graphlib goes from child to parent's child; people read "built from".
        return list(reversed(exc.args[1]))
    return None


def with_parents(edges: Mapping[str, Iterable[str]], names: Iterable[str]) -> list[str]:
    """Return ``names`` and all they are built from, parents first."""
    wanted: dict[str, Iterable[str]] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted[name] = edges.get(name, ())
            waiting += wanted[name]
    return list(TopologicalSorter(wanted).static_order())


def dependents(edges: Mapping[str, Iterable[str]], names: Iterable[str]) -> list[str]:
    """Return all that is built from ``names``, directly or not, parents first."""
    below = children(edges)
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        new = [name for name in below.get(waiting.pop(), ()) if name not in found]
        found.update(new)
        waiting += new
    return [name for name in build_order(edges) if name in found]


def children(edges: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Return the edges the other way: each parent's name, and what is built from it directly."""
    below: dict[str, list[str]] = {}
    for name, parents in edges.items():
        for parent in parents:
            below.setdefault(parent, []).append(name)
    return below


def build_order(edges: Mapping[str, Iterable[str]]) -> list[str]:
    """
    Return all names of ``edges``, parents first.

    Of those that could come next, the one declared first does: the order is the
    same in every run, and as close to the declared one as it can be.
    """
    position = {name: number for number, name in enumerate(edges)}
    sorter = TopologicalSorter(edges)
    sorter.prepare()
    ready: list[tuple[int, str]] = []
    order = []
    while sorter.is_active():
        for name in sorter.get_ready():
            heapq.heappush(ready, (position.get(name, -1), name))
        name = heapq.heappop(ready)[1]
        sorter.done(name)
        order.append(name)
    return [name for name in order if name in edges]


def select(edges: Mapping[str, Iterable[str]], patterns: Iterable[str] = ()) -> list[str]:
    """
    Return the names of ``edges`` that are meant, in build order.

    patterns
        names or globs; ``+name`` is a name with all it is built from, ``name+``
        with all that is built from it, ``+name+`` with both. None means all.

    Raises :class:`~salt_ubiq.errors.UnknownImage` for one that nothing matches.
    """
    patterns = list(patterns)
    if not patterns:
        return build_order(edges)
    chosen: set[str] = set()
    upwards: list[str] = []
    downwards: list[str] = []
    for pattern in patterns:
        matched = _matching(edges, pattern)
        chosen.update(matched)
        if pattern.startswith("+"):
            upwards += matched
        if pattern.endswith("+"):
            downwards += matched
    chosen.update(with_parents(edges, upwards), dependents(edges, downwards))
    return [name for name in build_order(edges) if name in chosen]


def _matching(edges: Mapping[str, Iterable[str]], pattern: str) -> list[str]:
    bare = pattern.removeprefix("+").removesuffix("+")
    matched = [bare] if bare in edges else [name for name in edges if fnmatchcase(name, bare)]
    if not matched:
        raise UnknownImage(bare or pattern, edges)
    return matched


def critical_path(
    edges: Mapping[str, Iterable[str]], durations: Mapping[str, float], default: float
) -> dict[str, float]:
    """
    Say of each name how long it will take at least until all is built that waits for it.

    durations
        seconds that a build takes, itself only

    default
        the same for names without an entry

    Returns for each name the seconds from its start to the end of the last
    image that depends on it, itself included, were there always a free slot.
    """
    after: dict[str, float] = {}
    paths: dict[str, float] = {}
    for name in reversed(list(TopologicalSorter(edges).static_order())):
        path = durations.get(name, default) + after.get(name, 0.0)
        for parent in edges.get(name, ()):
            after[parent] = max(after.get(parent, 0.0), path)
        if name in edges:
            paths[name] = path
    return paths
