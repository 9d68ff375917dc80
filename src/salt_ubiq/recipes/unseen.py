"""
States whose result depends on what no recipe can see: another time they may do something else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from salt_ubiq.recipes.compiled_states import CompiledStates
from salt_ubiq.recipes.recipe import described

# Functions that do what something outside says, by the names of their modules.
_OUTSIDE = {
    "cmd": frozenset({"run", "script", "call", "wait", "wait_script"}),
    "module": frozenset({"run", "wait"}),
    "pkg": frozenset({"latest", "uptodate"}),
    "git": frozenset({"latest"}),
    "hg": frozenset({"latest"}),
    "svn": frozenset({"latest"}),
    "pip": frozenset({"uptodate"}),
    "npm": frozenset({"bootstrap"}),
}
_FETCHING = {"file": frozenset({"managed", "cached"}), "archive": frozenset({"extracted"})}


def unseen(compiled: CompiledStates, clean: Callable[[str], str]) -> tuple[str, ...]:
    """
    Return the names of such states, as recipes have them, in order.

    clean
        takes secrets out of a text
    """
    return tuple(
        described(chunk["__sls__"], chunk["state"], chunk["fun"], chunk.get("name"), clean)
        for chunk in compiled.chunks
        if isinstance(chunk, Mapping) and _looks_outside(chunk)
    )


def _looks_outside(chunk: Mapping[str, Any]) -> bool:
    state, function = chunk["state"], chunk["fun"]
    if function in _OUTSIDE.get(state, ()):
        return True
    return function in _FETCHING.get(state, ()) and bool(
        chunk.get("skip_verify") and "://" in str(chunk.get("source", "")).replace("salt://", "")
    )
