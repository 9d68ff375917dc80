"""
What a runtime volume holds, as one digest, by which it is known to be whole and unchanged.
"""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
from collections.abc import Iterable
from typing import IO

_CHUNK = 1 << 20


def digest_of(tar: Iterable[bytes], without: str) -> str:
    """
    The digest of all names, modes, owners and contents below a directory.

    tar
        the directory, as the engine sends it

    without
        the name of a file in it that does not count
    """
    lines = []
    with tempfile.TemporaryFile() as saved:
        saved.writelines(tar)
        saved.seek(0)
        with tarfile.open(fileobj=saved) as archive:
            for member in archive:
                name = member.name.partition("/")[2]
                if not name or name == without:
                    continue
                content = archive.extractfile(member) if member.isfile() else None
                what = _sha256(content) if content else member.linkname
                owner = f"{member.uid}:{member.gid}"
                lines.append(f"{name!r} {member.type!r} {member.mode:o} {owner} {what!r}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def _sha256(content: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := content.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
