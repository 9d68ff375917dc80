"""
Where and with what one image is built.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import salt.loader

from salt_ubiq.engine import Engine
from salt_ubiq.workspace import Slot


@dataclass(frozen=True)
class Site:
    """
    opts, pillar
        Salt's ``__opts__`` and ``__pillar__``

    labels
        of the container and of the image, beside those of its kind

    clean
        takes pillar's secrets out of a text

    log_line
        writes a line, cleaned, to the build's log
    """

    engine: Engine
    slot: Slot
    opts: Mapping[str, Any]
    pillar: Mapping[str, Any]
    labels: Mapping[str, str]
    clean: Callable[[str], str]
    log_line: Callable[[str], None]

    def functions(self, **context: Any) -> Any:
        """Salt's execution modules, with the slot's own cache and that ``__context__``."""
        opts = {
            **self.opts,
            "cachedir": str(self.slot.cachedir),
            "docker.exec_driver": "docker-exec",  # needed by name only, see container.py
            "docker.update_mine": False,  # parallel builds would corrupt the mine's file
            "test": False,
        }
        return salt.loader.minion_mods(opts, context=context, utils=salt.loader.utils(opts))
