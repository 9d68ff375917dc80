"""
The state tree of a build: its files, in one saltenv, as this host's file client has them.
"""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import salt.utils.url

from salt_ubiq.catalogue.models import Service
from salt_ubiq.containers import extension_modules
from salt_ubiq.containers.file_server import FileServer
from salt_ubiq.containers.session import NOTHING, BuildSession
from salt_ubiq.errors import BuildError, brief, near_matches


class StateTree:
    """What a session sees of a saltenv."""

    def __init__(self, session: BuildSession, saltenv: str) -> None:
        self._session = session
        self._saltenv = saltenv

    @cached_property
    def files(self) -> Sequence[str]:
        """The paths of all files."""
        return self._once("files", "cp.list_master")

    @cached_property
    def sls(self) -> Sequence[str]:
        """The names of all SLS modules."""
        return self._once("states", "cp.list_states")

    @cached_property
    def extension_modules(self) -> Path | None:
        """The directory with its extension modules, ``None`` where it has none."""
        found = [*self.files]
        saltenvs = ["base"]
        if self._saltenv != "base":
            saltenvs.append(self._saltenv)
            found += StateTree(self._session, "base").files
        directory = self._session.extension_modules
        return directory if extension_modules.sync(self._opts, saltenvs, found, directory) else None

    @cached_property
    def grains(self) -> str:
        """A digest of the modules that make grains, empty where there are none."""
        return self._digest("grains/*.py")

    @cached_property
    def modules(self) -> str:
        """A digest of all extension modules, empty where there are none."""
        return self._digest("**/*.py")

    def _digest(self, pattern: str) -> str:
        directory = self.extension_modules
        found = sorted(directory.glob(pattern)) if directory else []
        content = b"".join(path.read_bytes() for path in found)
        return hashlib.sha256(content).hexdigest()[:16] if found else ""

    def server(self, config: Mapping[str, Any] = NOTHING, pillar: str | None = None) -> FileServer:
        """What serves it to a container, with more config of Salt, and with pillar if need be."""
        return FileServer({**self._opts, **config}, self.extension_modules, pillar)

    def check(self, service: Service) -> None:
        """
        See that there is what a service takes of it.

        Raises :class:`~salt_ubiq.errors.BuildError`, with what may have been meant.
        """
        missing = [mod for mod in service.mods if not fnmatch.filter(self.sls, mod)]
        problems = [
            f"{service.where('mods')}: no SLS '{brief(mod)}' in saltenv {brief(self._saltenv)}"
            f"{near_matches(mod, self.sls)}"
            for mod in missing
        ]
        for url in service.extra_filerefs:
            wanted, saltenv = salt.utils.url.parse(url)
            here = saltenv in (None, self._saltenv)  # another's files are not looked for
            if here and not any(f"{path}/".startswith(f"{wanted}/") for path in self.files):
                problems.append(
                    f"{service.where('extra_filerefs')}: no file {brief(url)} in saltenv "
                    f"{brief(self._saltenv)}{near_matches(wanted, self.files)}"
                )
        if problems:
            raise BuildError("\n".join(problems))

    @property
    def _opts(self) -> dict[str, object]:
        return self._session.salt_opts()

    def _once(self, what: str, function: str) -> Sequence[str]:
        return self._session.once(
            (what, self._saltenv),
            lambda: tuple(self._session.functions()[function](self._saltenv)),
        )
