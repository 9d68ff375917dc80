"""A copy of the repository, so that nothing is written into it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def copy_to(directory: Path) -> Path:
    """Copy the files of git, and those that git could add; return the directory."""
    listed = subprocess.check_output(
        [
            *("git", "-C", REPOSITORY, "-c", "safe.directory=*"),  # it may be another user's
            *("ls-files", "-z", "--cached", "--others", "--exclude-standard"),
        ],
        text=True,
    )
    for name in listed.rstrip("\0").split("\0"):
        source, target = REPOSITORY / name, directory / name
        if source.is_symlink() or source.is_file():  # git lists deleted ones, too
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    return directory
