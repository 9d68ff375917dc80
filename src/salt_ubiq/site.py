"""
Where and with what one image is built.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import salt.loader

from salt_ubiq.engine import Engine
from salt_ubiq.workspace import Slot, Workspace


@dataclass(frozen=True)
class Site:
    """
    opts
        Salt's ``__opts__``

    clean
        takes pillar's secrets out of a text

    log_path
        of the build's log

    log_line
        writes a line, cleaned, to the build's log
    """

    engine: Engine
    workspace: Workspace
    slot: Slot
    opts: Mapping[str, Any]
    clean: Callable[[str], str]
    log_path: str
    log_line: Callable[[str], None]

    def functions(
        self, opts: Mapping[str, Any] | None = None, context: Mapping[str, Any] | None = None
    ) -> Any:
        """Salt's execution modules, with a cache of their own, more opts and a ``__context__``."""
        opts = {
            **self.opts,
            "cachedir": str(self.slot.cachedir),
            "docker.exec_driver": "docker-exec",  # needed by name only, see container.py
            "docker.update_mine": False,  # parallel builds would corrupt the mine's file
            "fileserver_list_cache_time": 0,  # a file that was just added is there
            "test": False,
            **(opts or {}),
        }
        return salt.loader.minion_mods(
            opts, context=dict(context or {}), utils=salt.loader.utils(opts)
        )
