"""
What of a state tree an image depends on beyond the contents of the files that its states name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from salt.utils.stringutils import check_include_exclude

from salt_ubiq.recipes.compiled_states import CompiledStates

_KEEP = "keep"
_MODES = ("mode", "file_mode")


def looked_at(compiled: CompiledStates) -> frozenset[str]:
    """
    Return what its states look at, by the names that
    :class:`~salt_ubiq.containers.file_server.FileServer` has for it: files whose modes are kept,
    empty directories and links that come with a directory.
    """
    found: set[str] = set()
    for chunk in _chunks(compiled):
        keeps = any(chunk.get(key) == _KEEP for key in _MODES)
        for url in _sources(chunk):
            below = {path for path in compiled.files if is_below(path, url)}
            if keeps:
                found |= below
            if _is(chunk, "file", "recurse"):
                found |= {f"empty directories of {url}"} if chunk.get("include_empty") else set()
                found |= {f"links of {url}"} if chunk.get("keep_symlinks") else set()
    return frozenset(found)


def left_out(compiled: CompiledStates) -> frozenset[str]:
    """Return the URLs of files that are sent along, and that no state takes."""
    taken: set[str] = set()
    refused: set[str] = set()
    for chunk in _chunks(compiled):
        is_recurse = _is(chunk, "file", "recurse")
        patterns = (chunk.get("include_pat"), chunk.get("exclude_pat")) if is_recurse else ()
        for url in _sources(chunk):
            for path in compiled.files:
                if is_below(path, url):
                    relative = _bare(path).removeprefix(_bare(url)).lstrip("/")
                    wanted = not any(patterns) or check_include_exclude(relative, *patterns)
                    (taken if wanted else refused).add(path)
    return frozenset(refused - taken)


def _chunks(compiled: CompiledStates) -> Iterator[Mapping[str, Any]]:
    yield from (chunk for chunk in compiled.chunks if isinstance(chunk, Mapping))


def _is(chunk: Mapping[str, Any], state: str, function: str) -> bool:
    return (chunk.get("state"), chunk.get("fun")) == (state, function)


def _sources(chunk: Mapping[str, Any]) -> Iterable[str]:
    """The URLs of the tree that are its sources, as files have them."""
    declared = chunk.get("source")
    for source in declared if isinstance(declared, list) else [declared]:
        if isinstance(source, Mapping):
            source = next(iter(source), None)
        if isinstance(source, str) and source.startswith("salt://"):
            yield source.rstrip("/")


def is_below(path: str, url: str) -> bool:
    """Whether a file's URL is another, or below it."""
    _, _, saltenv = url.partition("?saltenv=")
    _, _, own = path.partition("?saltenv=")
    return (not saltenv or saltenv == own) and f"{_bare(path)}/".startswith(f"{_bare(url)}/")


def _bare(url: str) -> str:
    return url.partition("?saltenv=")[0].rstrip("/")
