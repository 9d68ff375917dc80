"""
A service: ``docker.sls_build``, prepared, watched and finished.
"""

from __future__ import annotations

import fnmatch
import importlib.metadata
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from packaging.specifiers import SpecifierSet

from salt_ubiq import finish, pillar
from salt_ubiq.catalogue import Service
from salt_ubiq.container import BuildClient, Surroundings
from salt_ubiq.engine import ImageInfo, is_without_tools
from salt_ubiq.errors import BuildError, NoTools, StatesFailed, UbiqError, near_matches
from salt_ubiq.finish import Residue
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

    def __init__(
        self, service: Service, parent: ImageInfo, site: Site, surroundings: Surroundings
    ) -> None:
        self._service = service
        self._parent = parent
        self._site = site
        self._surroundings = surroundings
        self._config = finish.image_config(service.config, parent.config, site.labels)
        self._states = StateRun(site.clean, site.log_line)

    def run(self) -> States:
        """
        Build, and return how the states fared.

        Raises :class:`~salt_ubiq.errors.BuildError`; then there is no image.
        """
        service = self._service
        self._check_mods(self._site.functions()["cp.list_states"](service.saltenv))
        facts = self._facts()
        values = pillar.compiled(service, facts.grains, self._site.opts)
        client = self._client(
            grains=facts.grains, observe=self._states.observe, announce=self._announce
        )
        client.before_commit = lambda: facts.residue.remove(client)
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

    def _announce(self, step: str) -> None:
        log.debug("%s: %s", self._service.name, self._site.clean(step))

    def _explained(self, exc: Exception, client: BuildClient) -> UbiqError:
        name, failed = self._service.name, self._states.states.failed
        if is_without_tools(exc):
            return NoTools()
        if client.timed_out:
            return BuildError(f"{name}: not done after {self._service.timeout:g} s")
        text = f"{name}: {self._states.explain() or self._site.clean(_last_line(exc))}"
        return StatesFailed(text, failed) if failed else BuildError(text)

    def _client(self, **more: Any) -> BuildClient:
        entrypoint = bool(self._parent.config.get("Entrypoint")) or not self._config.get("Cmd")
        return BuildClient(
            self._site.engine.arguments,
            name=self._site.slot.name,
            image_config=self._config,
            entrypoint=entrypoint,
            surroundings=self._surroundings,
            timeout=self._service.timeout,
            **more,
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

    def _facts(self) -> _Facts:
        """What is to be known of the parent: gathered once and kept in the workspace."""
        version, runtime = importlib.metadata.version("salt"), self._surroundings.runtime
        kind = f"{version}-{runtime.volume if runtime else 'plain'}"
        name = f"{self._parent.id.partition(':')[2]}-{kind}.json"
        path = self._site.workspace.path / "parents" / name
        if not path.exists():
            if runtime is None:
                self._check_python()
            log.info("%s: asking %s for its grains", self._service.name, self._service.base)
            path.parent.mkdir(exist_ok=True)
            new = path.with_suffix(f".{self._site.slot.name}")
            new.write_text(json.dumps(asdict(self._gathered_facts())))
            new.rename(path)
        known = json.loads(path.read_text())
        return _Facts(known["grains"], Residue(**known["residue"]))

    def _gathered_facts(self) -> _Facts:
        client = self._client()
        functions = self._functions(client, {})
        container = functions["docker.create"](
            self._parent.id, cmd="sleep infinity", **self._create_arguments()
        )["Id"]
        try:
            functions["docker.start"](container)
            grains = functions["docker.call"](container, "grains.items")
            return _Facts(grains, Residue.found(client))
        except Exception as exc:
            raise self._explained(exc, client) from exc
        finally:
            self._site.engine.remove_container(container)

    def _check_python(self) -> None:
        """Salt runs in the container with the image's own Python: see that there is one for it."""
        needed = SpecifierSet(importlib.metadata.metadata("salt")["Requires-Python"])
        has = f"{self._service.where('base')}: {self._service.base} has"
        remedy = "take a newer base, or let Salt run with its own Python (ubiq:runtime)"
        engine = self._site.engine
        with engine.container(self._parent.id, self._site.slot.name) as container:
            engine.start(container)
            for python in _PYTHONS:
                command = [python, "-c", "import platform; print(platform.python_version())"]
                status, printed = engine.execute(container, command)
                if status == 0 and needed.contains(printed, prereleases=True):
                    return
                if status == 0:
                    raise BuildError(
                        f"{has} Python {printed}, and this host's Salt needs {needed}: {remedy}"
                    )
        raise BuildError(f"{has} no Python that runs, and Salt needs one: {remedy}")


@dataclass(frozen=True)
class _Facts:
    """Of a parent: its grains, and what is in its container before any state runs."""

    grains: dict[str, Any]
    residue: Residue


def _last_line(exc: Exception) -> str:
    lines = [line for line in str(exc).splitlines() if line.strip()]
    return lines[-1] if lines else type(exc).__name__
