"""
Which process of ``pytest --numprocesses`` runs which tests.

A file's tests run in one, as what they have in common is made once a process; those of a folder
below ``tests/integration`` as well. What takes longest comes first, so that no process is left
with it in the end.
"""

from __future__ import annotations

from pathlib import PurePath

from xdist.scheduler import LoadScopeScheduling

LONGEST_FIRST = (
    "tests/integration/shipped",
    "tests/integration/daemons",
    "tests/functional/test_crashes_of_services.py",
    "tests/functional/test_runtime.py",
    "tests/functional/test_up_to_date.py",
)


def together(nodeid: str) -> str:
    """What the test has to be in one process with: its file or its folder."""
    path = PurePath(nodeid.partition("::")[0])
    folder = path.parent
    return str(folder if folder.parent == PurePath("tests/integration") else path)


def place(nodeid: str) -> int:
    """By which tests are put in order."""
    group = together(nodeid)
    return LONGEST_FIRST.index(group) if group in LONGEST_FIRST else len(LONGEST_FIRST)


class SideBySide(LoadScopeScheduling):  # type: ignore[misc]
    """A file or a folder per process."""

    def _split_scope(self, nodeid: str) -> str:
        return together(nodeid)
