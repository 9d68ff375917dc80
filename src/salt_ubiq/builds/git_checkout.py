"""
The git checkout that states or a Dockerfile are from.
"""

from __future__ import annotations

import glob
import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_LONGEST_GIT = 10  # seconds
# Set in git's own hooks, where they mean another repository.
_GIT_PLACES = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"}
# As git has it, without a scheme: [user@]host:path.
_SCP_LIKE = re.compile(r"(?:[^@:/\s]+@)?(?:[^@:/\s]+|\[[0-9a-fA-F:]+\]):[^:@\s]+")


@dataclass(frozen=True)
class Checkout:
    """
    A git checkout of a state tree.

    revision
        the commit, with ``-dirty`` where the tree is not just that

    source
        the URL of ``origin`` without credentials; ``None`` where another host can't use it
    """

    revision: str
    source: str | None


def state_roots(opts: Mapping[str, Any], saltenv: str) -> tuple[Path, ...]:
    """Return the directories of this host with a saltenv's states; none where a master has them."""
    if opts.get("file_client") != "local":
        return ()
    roots = (opts.get("file_roots") or {}).get(saltenv) or ()
    return tuple(Path(root) for root in roots)


def checkout_of(mods: Iterable[str], roots: Sequence[Path]) -> Checkout | None:
    """
    Return the git checkout that has all the SLS modules.

    mods
        names of SLS modules or, as Salt accepts them, globs

    roots
        where they are, see :func:`state_roots`

    ``None`` where there is not just one, git is not installed or doesn't trust it.
    """
    found = [list(_files(mod, roots)) for mod in mods]
    return _checkout_of(path for paths in found for path in paths) if all(found) else None


def checkout_of_context(url: str, roots: Sequence[Path]) -> Checkout | None:
    """
    Return the git checkout that has the Dockerfile of a build context.

    url
        ``salt://…``, or a directory of this host

    roots
        where files of ``salt://`` are, see :func:`state_roots`

    ``None`` as for :func:`checkout_of`.
    """
    path = url.removeprefix("salt://").strip("/")
    contexts = [root / path for root in roots] if url.startswith("salt://") else [Path(url)]
    dockerfiles = [each / "Dockerfile" for each in contexts if (each / "Dockerfile").is_file()]
    return _checkout_of(dockerfiles[:1])


def _checkout_of(paths: Iterable[Path]) -> Checkout | None:
    files = [path.resolve() for path in paths]
    if not files:
        return None
    tops = {
        _git(where, "rev-parse", "--show-toplevel") for where in {each.parent for each in files}
    }
    top = tops.pop()
    if tops or top is None:
        return None
    return _checkout(Path(top), files)


def _files(mod: str, roots: Sequence[Path]) -> Iterator[Path]:
    """The SLS files of a module, looked for in Salt's order."""
    path = mod.replace(".", "/")
    for name in (f"{path}.sls", f"{path}/init.sls"):
        for root in roots:
            matches = glob.glob(name, root_dir=root)  # noqa: PTH207 # Path.glob raises on some
            if matches:
                yield from (root / match for match in matches)
                if not glob.has_magic(mod):
                    return


def _checkout(top: Path, files: Iterable[Path]) -> Checkout | None:
    if _git(top, "check-ignore", "--quiet", "--", *map(str, files)) is not None:
        return None  # it is around the states, but does not have them
    revision = _git(top, "rev-parse", "HEAD")
    changes = _git(top, "status", "--porcelain", "--untracked-files=normal")
    if revision is None or changes is None:
        return None
    # As it is written: git's own rewriting of URLs may put credentials in.
    origin = _git(top, "config", "--get", "remote.origin.url") or ""
    return Checkout(f"{revision}-dirty" if changes else revision, without_credentials(origin))


def without_credentials(url: str) -> str | None:
    """Return a git URL without what lets one in; ``None`` for a path, or what is no URL."""
    if "://" not in url:
        return url if _SCP_LIKE.fullmatch(url) else None
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:  # no host, no port: maybe a part of a password
        return None
    if not parts.hostname or "@" in parts.path:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    # With ssh the user is part of the address, elsewhere it may be a token.
    user = f"{parts.username}@" if parts.scheme.endswith("ssh") and parts.username else ""
    return f"{parts.scheme}://{user}{host}{port}{parts.path}"


def _git(directory: Path, *arguments: str) -> str | None:
    """What a git command prints; ``None`` where it fails."""
    environment = {key: value for key, value in os.environ.items() if key not in _GIT_PLACES}
    try:
        done = subprocess.run(
            ["git", "-C", str(directory), "-c", "core.fsmonitor=false", *arguments],
            env={**environment, "GIT_OPTIONAL_LOCKS": "0"},  # it only looks
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=_LONGEST_GIT,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
