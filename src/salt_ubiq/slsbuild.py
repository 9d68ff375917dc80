"""
A service: ``docker.sls_build``, prepared, watched and finished.
"""

from __future__ import annotations

import fnmatch
import importlib.metadata
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import salt.utils.thin
from packaging.specifiers import SpecifierSet

from salt_ubiq import finish, pillar
from salt_ubiq.catalogue import Service
from salt_ubiq.container import BuildClient, Output
from salt_ubiq.engine import ImageInfo
from salt_ubiq.errors import BuildError, StatesFailed, near_matches
from salt_ubiq.report import States
from salt_ubiq.site import Site
from salt_ubiq.staterun import StateRun

log = logging.getLogger(__name__)

# A random one would make grains, and with them images, differ from build to build.
_HOSTNAME = "ubiq-build"
# Where docker.call looks for Python.
_PYTHONS = ("python3", "/usr/libexec/platform-python")


class SlsBuild:
    """
    The build of one service on its parent, at a site.

    The image is left under the slot's private reference.
    """

    def __init__(self, service: Service, parent: ImageInfo, site: Site) -> None:
        self._service = service
        self._parent = parent
        self._site = site
        self._config = finish.image_config(service.config, parent.config, site.labels)
        self._states = StateRun(site.clean, site.log_line)

    def run(self) -> States:
        """
        Build, and return how the states fared.

        Raises :class:`~salt_ubiq.errors.BuildError`; then there is no image.
        """
        service = self._service
        self._check_mods(self._site.functions()["cp.list_states"](service.saltenv))
        self._provide_thin()
        grains = self._grains()
        values = pillar.compiled(service, grains, self._site.opts)
        client = self._client(self._states.observe)
        residue = finish.Residue(client)
        self._states.before_states = residue.salt_has_run
        client.before_commit = residue.remove
        log.info("%s: applying %s to %s", service.name, ", ".join(service.mods), service.base)
        with pillar.root(values, self._site.slot) as opts:
            self._sls_build(client, opts)
        return self._states.states

    def _sls_build(self, client: BuildClient, opts: Mapping[str, Any]) -> None:
        service = self._service
        repository, _, tag = self._site.slot.reference.rpartition(":")
        arguments = {
            "extra_filerefs": ",".join(service.extra_filerefs),
            "saltenv": service.saltenv if service.saltenv != "base" else "",
        }
        try:
            self._functions(client, opts)["docker.sls_build"](
                repository,
                tag=tag,
                base=self._parent.id,
                mods=",".join(service.mods),
                **{key: value for key, value in arguments.items() if value},
                **self._create_arguments(),
            )
        except Exception as exc:
            raise self._explained(exc, client) from exc

    def _explained(self, exc: Exception, client: BuildClient) -> BuildError:
        name, failed = self._service.name, self._states.states.failed
        if client.timed_out:
            return BuildError(f"{name}: not done after {self._service.timeout:g} s")
        text = f"{name}: {self._states.explain() or self._site.clean(_last_line(exc))}"
        return StatesFailed(text, failed) if failed else BuildError(text)

    def _client(self, observe: Callable[[Sequence[str], Output], None]) -> BuildClient:
        entrypoint = bool(self._parent.config.get("Entrypoint")) or not self._config.get("Cmd")
        return BuildClient(
            self._site.engine.arguments,
            name=self._site.slot.name,
            image_config=self._config,
            entrypoint=entrypoint,
            environment=self._service.build.get("environment", {}),
            timeout=self._service.timeout,
            observe=observe,
        )

    def _functions(self, client: BuildClient, opts: Mapping[str, Any]) -> Any:
        """Salt's execution modules, with a docker module that works through ``client``."""
        functions = self._site.functions(opts, {"docker.client": client})
        functions.pack["__salt__"].update(client.container_resource())
        return functions

    def _create_arguments(self) -> dict[str, Any]:
        """What ``docker.create`` is to know of the build container."""
        build = {key: value for key, value in self._service.build.items() if key != "environment"}
        if self._service.network_mode:
            build.setdefault("network_mode", self._service.network_mode)
        return {
            "hostname": _HOSTNAME,
            "labels": dict(self._site.labels),
            "stop_timeout": 0,  # `sleep infinity` ignores SIGTERM as PID 1
            **build,
        }

    def _check_mods(self, available: Iterable[str]) -> None:
        known, service = set(available), self._service
        missing = [mod for mod in service.mods if not fnmatch.filter(known, mod)]
        if missing:
            raise BuildError(
                "\n".join(
                    f"{service.where('mods')}: no SLS '{mod}' in saltenv {service.saltenv}"
                    f"{near_matches(mod, known)}"
                    for mod in missing
                )
            )

    def _grains(self) -> dict[str, Any]:
        """
        The grains that states see in the container: those of the parent image.

        They are gathered once for each parent and kept in the workspace.
        """
        version = importlib.metadata.version("salt")
        name = f"{self._parent.id.partition(':')[2]}-{version}.json"
        path = self._site.workspace.path / "grains" / name
        if not path.exists():
            self._check_python()
            log.info("%s: asking %s for its grains", self._service.name, self._service.base)
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(self._gathered_grains()))
        return dict(json.loads(path.read_text()))

    def _gathered_grains(self) -> Any:
        client = self._client(lambda *_: None)
        functions = self._functions(client, {})
        container = functions["docker.create"](
            self._parent.id, cmd="sleep infinity", **self._create_arguments()
        )["Id"]
        try:
            functions["docker.start"](container)
            return functions["docker.call"](container, "grains.items")
        except Exception as exc:
            raise self._explained(exc, client) from exc
        finally:
            self._site.engine.remove_container(container)

    def _check_python(self) -> None:
        """Salt runs in the container with the image's own Python: see that there is one for it."""
        needed = SpecifierSet(importlib.metadata.metadata("salt")["Requires-Python"])
        where = f"{self._service.where('base')}: {self._service.base} has"
        command = ["-c", "import platform; print(platform.python_version())"]
        for python in _PYTHONS:
            status, printed = self._site.engine.run(
                self._parent.id, [python, *command], self._site.slot.name
            )
            if status == 127:
                continue
            if status == 0 and needed.contains(printed, prereleases=True):
                return
            found = f"Python {printed}" if status == 0 else f"a {python} that fails: {printed}"
            raise BuildError(
                f"{where} {found}, and this host's Salt needs Python {needed}: take a newer base"
            )
        raise BuildError(f"{where} no Python, which Salt needs there: take a base with python3")

    def _provide_thin(self) -> None:
        """
        Put Salt's "thin" tarball into the slot's cache, where ``docker.call`` looks for it.

        All slots share one: making it takes seconds, and two that made it at once would collide.
        """
        workspace, opts = self._site.workspace, self._site.opts
        with workspace.lock("thin"):
            salt.utils.thin.gen_thin(
                str(workspace.path),
                extra_mods=opts.get("thin_extra_mods", ""),
                so_mods=opts.get("thin_so_mods", ""),
            )
        link = self._site.slot.cachedir / "thin"
        if not link.is_symlink():
            link.symlink_to(workspace.path / "thin")


def _last_line(exc: Exception) -> str:
    lines = [line for line in str(exc).splitlines() if line.strip()]
    return lines[-1] if lines else type(exc).__name__
