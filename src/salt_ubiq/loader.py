"""
Where Salt finds the loader modules: the entry point ``salt.loader``.

Of a package, Salt loads every directory that is named as a kind of loader modules, of today's
and of later versions; of what this returns, just these.
"""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent


def loader_dirs() -> dict[str, list[str]]:
    """Return the directories by the kinds of loader modules that are in them."""
    return {kind: [str(_HERE / kind)] for kind in ("modules", "states", "runners", "output")}
