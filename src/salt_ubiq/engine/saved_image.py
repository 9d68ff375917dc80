"""
Images as an engine saves them: a tar with layers, a config and a manifest.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from typing import IO, Any


def with_config(saved: IO[bytes], changed: IO[bytes], config: Mapping[str, Any]) -> None:
    """
    Copy a saved image, with another config of what runs in it.

    saved
        the tar of one image, as the engine has made it

    changed
        where the copy is written

    config
        in the engine's spelling; it has what the image is to have, and no more
    """
    with tarfile.open(fileobj=saved) as tar, tarfile.open(fileobj=changed, mode="w") as copy:
        manifest = json.loads(_content(tar, "manifest.json"))
        name = manifest[0]["Config"]
        whole = json.loads(_content(tar, name))
        whole["config"] = dict(config)
        whole.pop("container_config", None)
        text = json.dumps(whole).encode()
        manifest[0]["Config"] = f"{hashlib.sha256(text).hexdigest()}.json"
        for member in tar:
            if member.name not in (name, "manifest.json", "repositories"):
                copy.addfile(member, tar.extractfile(member) if member.isreg() else None)
        _add(copy, manifest[0]["Config"], text)
        _add(copy, "manifest.json", json.dumps(manifest).encode())


def _content(tar: tarfile.TarFile, name: str) -> bytes:
    content = tar.extractfile(name)
    return content.read() if content else b""


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
