"""
Order among images: which is built from which.

Pure functions over ``edges``: a mapping of each image's name to the names of
its parents. Parents without an entry of their own are images from outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter


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
