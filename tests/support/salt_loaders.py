"""
Salt's loaders, in the time that tests have for them.

A loader lists its directories, and looks at each name there, which takes 30 ms; a build makes
dozens of loaders. Here a directory is listed again once it has changed.
"""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

from salt.loader.lazy import LazyLoader

_list_directories = LazyLoader._refresh_file_mapping
_known: dict[Hashable, tuple[dict[str, Any], dict[str, Any], list[str]]] = {}


def list_directories_once() -> None:
    """From now on, have loaders list the same directories once in this process."""
    LazyLoader._refresh_file_mapping = _refresh_file_mapping


def _refresh_file_mapping(self: Any) -> None:
    key = (
        tuple((path, _changed(path)) for path in self.module_dirs),
        tuple(self.static_modules),
        tuple(sorted(self.disabled)),
        tuple(self.suffix_order),
    )
    if key not in _known:
        _list_directories(self)
        _known[key] = (dict(self.file_mapping), dict(self.suffix_map), list(self.suffix_order))
    mapping, suffixes, order = _known[key]
    self.file_mapping, self.suffix_map = dict(mapping), dict(suffixes)
    self.suffix_order = list(order)


def _changed(path: str) -> int | None:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return None
