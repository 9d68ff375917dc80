"""
Salt's "thin": the tarball of itself that Salt runs from in a container.

``docker.call`` takes it from the directory ``thin`` below Salt's cachedir, and
makes it there if need be. :class:`Thin` decides what a slot's has.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import salt.utils.thin
import salt.version

from salt_ubiq.workspace.files import opened, private_directory
from salt_ubiq.workspace.slots import Slot, Workspace


class Thin:
    """The thin tarballs of a workspace; all slots share them."""

    def __init__(self, workspace: Workspace, opts: Mapping[str, Any]) -> None:
        self._workspace = workspace
        self._opts = opts

    def tarball(self) -> Path:
        """Return the path of the whole thin; making it takes seconds."""
        with self._workspace.lock("thin"):
            path = salt.utils.thin.gen_thin(
                str(self._workspace.path),
                extra_mods=self._opts.get("thin_extra_mods", ""),
                so_mods=self._opts.get("thin_so_mods", ""),
            )
        return Path(path)

    def provide_whole(self, slot: Slot) -> None:
        """Let ``docker.call`` copy the whole thin."""
        _link(slot, self.tarball().parent)

    def provide_none(self, slot: Slot) -> None:
        """Keep ``docker.call`` from making a thin: the runtime has it."""
        directory = private_directory(self._workspace.path / "no-thin")
        marks = {
            ".thin-gen-py-version": str(sys.version_info[0]),
            "version": salt.version.__version__,
            "thin.tgz": "",
        }
        with self._workspace.lock("no-thin"):
            for name, text in marks.items():
                with opened(directory / name, "w") as handle:
                    handle.write(text)
        _link(slot, directory)


def _link(slot: Slot, directory: Path) -> None:
    link = slot.cachedir / "thin"
    if not link.is_symlink() or link.readlink() != directory:
        link.unlink(missing_ok=True)
        link.symlink_to(directory)
