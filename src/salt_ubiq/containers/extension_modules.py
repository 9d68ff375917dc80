"""
The extension modules of a state tree, ``_modules``, ``_states``, ``_grains`` and the like.

They count as they are in the tree, whatever has been synced to this host's minion before.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import salt.utils.extmods

KINDS = (
    "grains",
    "matchers",
    "modules",
    "output",
    "renderers",
    "sdb",
    "serializers",
    "states",
    "utils",
)
"""Whatever may have a part in applying states."""

# Our own are there where this package's repository is a file root; no container has a use for them.
_OURS = ("modules/ubiq_docker.py", "states/ubiq_docker.py")


def sync(
    opts: Mapping[str, Any], saltenvs: Collection[str], tree: Collection[str], directory: Path
) -> bool:
    """
    Have the extension modules in a directory, and say whether there are any.

    opts
        of Salt, with its file client

    saltenvs
        where to look, what a later one has going over an earlier one's

    tree
        all files of these
    """
    shutil.rmtree(directory, ignore_errors=True)
    kinds = [kind for kind in KINDS if any(path.startswith(f"_{kind}/") for path in tree)]
    for kind in kinds:
        salt.utils.extmods.sync(
            {**opts, "extension_modules": str(directory)}, kind, saltenv=list(saltenvs)
        )
    for name in _OURS:
        (directory / name).unlink(missing_ok=True)
    return bool(kinds)


def source_of(path: str) -> str:
    """Return the URL of a module that is at ``path`` in the directory."""
    return f"salt://_{path}"
