"""
Beginnings: the first of a service's states, applied in an image from which builds go on with all
of them.

Nothing but time may depend on it. So a beginning ends only where nothing that comes later reacts
to what was done in it.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from salt.client.ssh.state import salt_refs

from salt_ubiq.recipes import tree_files
from salt_ubiq.recipes.compiled_states import CompiledStates
from salt_ubiq.recipes.recipe import Recipe, state_hashes

# Requisites by which a state does something because another has; "listen" waits for
# the end of the whole.
_REACTIVE = ("onchanges", "watch", "onfail", "prereq", "listen")
_REQUISITES = ("require", *_REACTIVE)
# Salt's own states that read neither pillar nor more files than they name, unless they render.
_PLAIN = frozenset({"cmd", "file", "group", "pkg", "pkgrepo", "user"})
_COMMANDS = {("cmd", "run"), ("cmd", "script"), ("module", "run")}
_GUARDS = ("creates", "onchanges", "onlyif", "unless")
_RENDERING = ("template", "contents_pillar", "dataset_pillar")


def begins(part: CompiledStates, whole: CompiledStates) -> bool:
    """Say whether ``whole`` does first what ``part`` does, and nothing in it reacts to that."""
    if part.errors or whole.errors:
        return False
    states = [*state_hashes(part, str).items()]
    if [*state_hashes(whole, str).items()][: len(states)] != states:
        return False
    return _may_end(whole.chunks, len(states))


def nearest_end(whole: CompiledStates, count: int) -> int:
    """How many states the longest beginning of at most ``count`` has."""
    return next(end for end in range(count, -1, -1) if _may_end(whole.chunks, end))


def first(whole: CompiledStates, count: int) -> CompiledStates:
    """The beginning with that many states, and the files that are its own."""
    chunks, later = whole.chunks[:count], whole.chunks[count:]
    ours, theirs = _mentioned(chunks), _mentioned(later)
    files = {
        url: hash_
        for url, hash_ in whole.files.items()
        if _is_below_any(url, ours) or not _is_below_any(url, theirs)
    }
    return replace(whole, chunks=chunks, files=files)


def recipe_of_first(recipe: Recipe, part: CompiledStates, own_modules: bool) -> Recipe:
    """
    Return the recipe of a beginning: whatever is beside its states, of what comes later, too, is
    none of it.

    recipe
        of a service with just these states

    own_modules
        whether the state tree has extension modules: what those read is not known
    """
    reads_pillar = own_modules or any(map(reads_more, part.chunks))
    return replace(recipe, mods=(), pillar=recipe.pillar if reads_pillar else {})


def reads_more(chunk: Mapping[str, Any]) -> bool:
    """Whether a state may read pillar, or files that it does not name, while it runs."""
    return chunk["state"] not in _PLAIN or any(chunk.get(key) for key in _RENDERING)


def repeats(chunk: Mapping[str, Any]) -> bool:
    """Whether a state plainly does what it does a second time, too."""
    is_command = (chunk["state"], chunk["fun"]) in _COMMANDS
    return is_command and not any(key in chunk or f"{key}_any" in chunk for key in _GUARDS)


def differs_at(whole: CompiledStates, new: Recipe, old: Recipe) -> int:
    """
    Say how many states there are before the first that does not do what it did.

    whole, new
        the states, and their recipe

    old
        the recipe of what was done
    """
    before, after = [*old.states.items()], [*new.states.items()]
    same = next((n for n, each in enumerate(after) if before[n : n + 1] != [each]), len(after))
    urls = {url for url in {*old.files, *new.files} if old.files.get(url) != new.files.get(url)}
    mentioned = [_mentioned([chunk]) for chunk in whole.chunks]
    for url in urls:
        at = next((n for n, each in enumerate(mentioned) if _is_below_any(url, each)), None)
        same = min(same, _first_reader(whole.chunks, same) if at is None else at)
    if old.pillar != new.pillar:
        same = min(same, _first_reader(whole.chunks, same))
    return same


def _first_reader(chunks: Sequence[Any], count: int) -> int:
    return next((n for n, chunk in enumerate(chunks[:count]) if reads_more(chunk)), count)


def _may_end(chunks: Sequence[Any], count: int) -> bool:
    """Whether what is done first is the same whatever comes later, and the other way round."""
    part, later = chunks[:count], chunks[count:]
    if not later:
        return True
    known, unknown = _names(part), _names(later)
    reacted_to = {pattern for chunk in later for pattern in _wanted(chunk, _REACTIVE)}
    needed = {pattern for chunk in part for pattern in _wanted(chunk, _REQUISITES)}
    waits = any(key.startswith("listen") for chunk in part for key in chunk)
    return not (waits or _any_matches(reacted_to, known) or _any_matches(needed, unknown - known))


def _names(chunks: Sequence[Mapping[str, Any]]) -> set[str]:
    return {str(chunk[key]) for chunk in chunks for key in ("__id__", "name", "__sls__")}


def _any_matches(patterns: Iterable[str], names: Iterable[str]) -> bool:
    names = [*names]
    return any(fnmatch.filter(names, pattern) for pattern in patterns)


def _wanted(chunk: Mapping[str, Any], kinds: tuple[str, ...]) -> Iterable[str]:
    for key, requisites in chunk.items():
        if key.startswith(kinds) and isinstance(requisites, list):
            for requisite in requisites:
                found = requisite.values() if isinstance(requisite, Mapping) else [requisite]
                yield from map(str, found)


def _mentioned(chunks: Iterable[Mapping[str, Any]]) -> list[str]:
    """The URLs of the tree in states."""
    plain = ({key: chunk[key] for key in chunk if not key.startswith("__")} for chunk in chunks)
    return [url for chunk in plain for url in salt_refs(chunk)]


def _is_below_any(url: str, urls: Iterable[str]) -> bool:
    # "links of salt://…", too: what is looked at below a directory is that state's.
    return any(tree_files.is_below(url.rpartition(" of ")[2], each) for each in urls)
