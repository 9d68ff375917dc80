"""
What the states of a service come down to, without a container: the low state, the
files it refers to and the pillar.

``docker.sls`` itself compiles them. It gets a container that isn't there, in which
nothing runs, and what it would have sent is kept.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from salt_ubiq.containers.client import called_function

# Salt sends all extension modules along; those that are used are told while states run.
_MODULES = frozenset("_modules _states _grains _renderers _returners _output _utils".split())

_LOW_STATE = "lowstate.json"


@dataclass(frozen=True)
class CompiledStates:
    """
    What ``docker.sls`` sends into a container.

    chunks
        the low state, in the order in which it runs; texts instead where it does
        not compile

    files
        the SHA-256 of every file that is sent along, by its URL, but for extension modules

    pillar
        as the states see it
    """

    chunks: Sequence[Any]
    files: Mapping[str, str]
    pillar: Mapping[str, Any]

    @classmethod
    def read(cls, package: Path) -> CompiledStates:
        """Read the package of ``salt.client.ssh.state.prep_trans_tar``."""
        parts: dict[str, Any] = {_LOW_STATE: [], "pillar.json": {}}
        files = {}
        with tarfile.open(package) as tar:
            for member in tar:
                content = tar.extractfile(member)
                if content is None:
                    continue
                if member.name in parts:
                    parts[member.name] = json.load(content)
                    continue
                url = _url(member.name)
                if url:
                    files[url] = hashlib.sha256(content.read()).hexdigest()
        return cls(parts[_LOW_STATE], files, parts["pillar.json"])

    def keep_in(self, package: Path) -> None:
        """Leave in a package just these states, of all that it has, and their files."""
        new = package.with_name(f"{package.name}.first")
        with tarfile.open(package) as old, tarfile.open(new, "w:gz") as tar:
            for member in old:
                content = old.extractfile(member)
                url = _url(member.name) if content else None
                if member.name == _LOW_STATE:
                    states = json.dumps(list(self.chunks)).encode()
                    member.size, content = len(states), io.BytesIO(states)
                if url is None or url in self.files or member.name == _LOW_STATE:
                    tar.addfile(member, content)
        new.replace(package)

    @property
    def errors(self) -> list[str]:
        """Why the states do not compile; empty where they do."""
        return [str(chunk).strip() for chunk in self.chunks if not isinstance(chunk, Mapping)]


class NoContainer:
    """
    Stands in for a container and its client: what is sent to it is read, nothing runs.

    grains
        what the container would answer
    """

    def __init__(self, grains: Mapping[str, Any]) -> None:
        self._grains = grains
        self.compiled: CompiledStates | None = None

    def container_resource(self) -> dict[str, Callable[..., Any]]:
        """The functions to put in the place of Salt's, by their names."""
        return {"container_resource.run": self._run, "container_resource.copy_to": self._copy_to}

    def _run(self, _name: str, cmd: str, output: str | None = None, **_: Any) -> Any:
        function = called_function(cmd.split())
        answer = {"local": {"return": self._grains if function == "grains.items" else {}}}
        stdout = json.dumps(answer) if function else ""
        if output is None:
            return stdout
        return {"pid": 0, "retcode": 0, "stdout": stdout, "stderr": ""}

    def _copy_to(self, _name: str, source: str, _dest: str, **_: Any) -> bool:
        if source.endswith("thin.tgz"):
            return True
        self.compiled = CompiledStates.read(Path(source))
        return True


def _url(name: str) -> str | None:
    """The URL of a file in a package, ``None`` for extension modules and Salt's own data."""
    saltenv, _, path = name.partition("/")
    if not path or path.partition("/")[0] in _MODULES:
        return None
    return f"salt://{path}" + (f"?saltenv={saltenv}" if saltenv != "base" else "")
