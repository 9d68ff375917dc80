"""
What Salt in a container of a build is served of this host: the files that a minion would get, by
this host's own file client, and which of them it has asked for.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterable, Mapping
from importlib.resources import as_file, files
from pathlib import Path, PurePosixPath
from typing import Any

import salt.config
import salt.fileclient
import salt.payload

from salt_ubiq.catalogue.models import KEY
from salt_ubiq.containers import extension_modules

# What a file client asks: of lists what people call them, of files, and the saltenvs. Not for a
# master's options: those of this host are no matter to an image, and have all of its pillar.
_LISTS = {
    "_file_list": "files",
    "_file_list_emptydirs": "empty directories",
    "_dir_list": "directories",
    "_symlink_list": "links",
}
_OF_FILES = frozenset({"_serve_file", "_file_hash", "_file_find"})
_ENVS = "_file_envs"
# Where distributions have what TLS trusts.
_CA_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
# Of a minion's config, what is not of its own making.
_NOT_CONFIG = frozenset({KEY, "pillar", "grains", "conf_file", "minion_id"})


class FileServer:
    """
    Serves the files of this host, for one build.

    opts
        of this host's Salt, by which it finds them

    modules
        the directory with the tree's extension modules, ``None`` where it has none

    pillar
        what is pillar there, in JSON; ``None`` where it comes another way, as that of states does
    """

    def __init__(
        self,
        opts: Mapping[str, Any],
        modules: Path | None = None,
        pillar: str | None = None,
    ) -> None:
        self._opts = dict(opts)
        self._modules = modules
        self._pillar = pillar
        self._client: Any = None
        self._asked: set[str] = set()

    @property
    def asked(self) -> frozenset[str]:
        """What has been asked for, as :meth:`hashes` knows it."""
        return frozenset(self._asked)

    def note_used(self, module: str) -> None:
        """Take note of an extension module that is used, by its place in the directory."""
        self._asked.add(extension_modules.source_of(module))

    def answer(self, question: str) -> bytes:
        """Answer a question of :mod:`salt_ubiq.inside.host_files`; by nothing, if it is none."""
        try:
            load = salt.payload.loads(base64.b64decode(question), encoding="utf-8")
        except Exception:  # whatever a state has printed
            load = None
        answer = self._answer(load if isinstance(load, dict) else {})
        return bytes(salt.payload.dumps(answer, use_bin_type=True))

    def hashes(self, asked: Iterable[str]) -> dict[str, str]:
        """Say by hashes what has been asked for is like now; empty for what is not there."""
        return {name: self._hash(name) for name in sorted(asked)}

    def _answer(self, load: dict[str, Any]) -> Any:
        command = str(load.get("cmd"))
        if command == "extension_modules":
            return {
                "modules": _packed(self._modules) if self._modules else b"",
                "ours": _OURS,
                "certificates": self._certificates(),
                "config": self._config(),
                "pillar": self._pillar,
            }
        by_state, saltenv = load.pop("by_state", False), load.get("saltenv", "base")
        if command == _ENVS:
            return self._send(load)
        wanted = load.get("prefix" if command in _LISTS else "path") or ""
        if not isinstance(saltenv, str) or not isinstance(wanted, str) or _leaves(wanted):
            return {}
        if command in _OF_FILES:
            if load.get("loc", 0) == 0:
                self._asked.add(_url(wanted, saltenv))
            return self._send(load)
        if command in _LISTS:
            if not by_state:  # the low state says which of them it takes
                self._asked.add(f"{_LISTS[command]} of {_url(wanted, saltenv)}")
            return self._send(load)
        return {}

    def _hash(self, name: str) -> str:
        kind, is_list, url = name.rpartition(" of ")
        path, _, saltenv = url.removeprefix("salt://").partition("?saltenv=")
        where = {"saltenv": saltenv or "base"}
        if is_list:
            command = next(key for key, title in _LISTS.items() if title == kind)
            listed = self._send({"cmd": command, "prefix": path, **where})
            return _digest(sorted(listed.items() if isinstance(listed, Mapping) else listed))
        found = self._send({"cmd": "_file_hash", "path": path, **where})
        if not found:
            return ""
        stat = (self._send({"cmd": "_file_find", "path": path, **where}) or {}).get("stat")
        return _digest([found["hsum"], f"{stat[0]:o}" if stat else None])

    def _send(self, load: Mapping[str, Any]) -> Any:
        if self._client is None:
            self._client = salt.fileclient.get_file_client(self._opts)
        return self._client.channel.send(dict(load))

    def _certificates(self) -> str:
        """What this host trusts, where the image is to trust it for the time of the build."""
        if self._opts.get("ubiq_certificates") != "host":
            return ""
        own = os.environ.get("SSL_CERT_FILE", "")
        for path in (own, *_CA_BUNDLES):
            if path and Path(path).is_file():
                return Path(path).read_text(encoding="utf-8")
        return ""

    def _config(self) -> dict[str, Any]:
        """What is in this host's config beside Salt's own keys: ``config.get`` finds it there."""
        own = {
            key: value
            for key, value in self._opts.items()
            if key not in salt.config.DEFAULT_MINION_OPTS
            and key not in _NOT_CONFIG
            and not key.startswith("__")
        }
        return {key: value for key, value in own.items() if _is_plain(value)}


def _packed(directory: Path) -> bytes:
    """A tar of modules, without their bytecode."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(
            directory,
            arcname=".",
            filter=lambda each: None if "__pycache__" in each.name else each,
        )
    return packed.getvalue()


with as_file(files("salt_ubiq.inside").joinpath("modules")) as _directory:
    # Salt's modules in a container that ours stand in for.
    _OURS = {path.name: path.read_text() for path in _directory.glob("*.py")}


def _leaves(path: str) -> bool:
    """Whether a path leads out of where it begins."""
    return ".." in PurePosixPath(path).parts or path.startswith("/")


def _url(path: str, saltenv: str) -> str:
    return f"salt://{path}" + (f"?saltenv={saltenv}" if saltenv != "base" else "")


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, default=str).encode()).hexdigest()


def _is_plain(value: object) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
