"""
What the states of a service come down to, without a container: the low state, the
files it refers to and the pillar.

``docker.sls`` itself compiles them. It gets a container that isn't there, in which
nothing runs, and what it would have sent is kept.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from salt_ubiq.containers.client import called_function

# Salt sends all extension modules along; those that are used are told while states run.
_MODULES = frozenset("_modules _states _grains _renderers _returners _output _utils".split())


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
        parts: dict[str, Any] = {"lowstate.json": [], "pillar.json": {}}
        files = {}
        with tarfile.open(package) as tar:
            for member in tar:
                content = tar.extractfile(member)
                if content is None:
                    continue
                if member.name in parts:
                    parts[member.name] = json.load(content)
                    continue
                saltenv, _, path = member.name.partition("/")
                if path.partition("/")[0] not in _MODULES:
                    url = f"salt://{path}" + (f"?saltenv={saltenv}" if saltenv != "base" else "")
                    files[url] = hashlib.sha256(content.read()).hexdigest()
        return cls(parts["lowstate.json"], files, parts["pillar.json"])

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
